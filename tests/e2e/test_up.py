"""`voicekeep up`: comes up, stays up whatever dies, goes down whole. Nothing here is a stand-in."""

import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests.embedded import ANY_PORTS, CLI, ROOT, Up, all_gone, clean_environment, pids, voicekeep
from tests.embedded import running as started

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SAMPLE = ROOT / ".samples" / "memo.m4a"
HEARD = json.loads((ROOT / ".samples" / "memo.json").read_text()) if SAMPLE.exists() else {}
USER = "5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11"
LOCAL_USER = "00000000-0000-4000-8000-00000000cafe"
needs_sample = pytest.mark.skipif(not SAMPLE.exists(), reason="no sample: run `make samples`")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Up, dict[str, Any]]]:
    with started(tmp_path_factory.mktemp("up") / "data") as found:
        yield found


def get(url: str, **headers: str) -> tuple[int, bytes]:
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - an address of ours
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def sent(up: Up) -> dict[str, Any]:
    done = voicekeep("send", "--json", str(SAMPLE), data=up.data)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_ready_line_says_where_everything_is(stack: tuple[Up, dict[str, Any]]) -> None:
    up, ready = stack
    assert set(ready) == {"event", "api", "ui", "temporal", "pids", "seconds"}
    assert set(ready["pids"]) == {"temporal", "api", "worker"}
    assert {isinstance(ready["pids"][name], list) for name in ("api", "worker")} == {True}
    assert all(psutil.pid_exists(pid) for pid in pids(ready).values())
    assert get(f"{ready['api']}/health/ready")[0] == 200
    assert get(ready["ui"])[0] == 200
    host, port = ready["temporal"].split(":")
    socket.create_connection((host, int(port)), timeout=10).close()
    written = json.loads((up.data / "run.json").read_text())
    assert {written[name] == ready[name] for name in ("api", "ui", "temporal")} == {True}


def test_the_ports_that_were_asked_for_as_free_are_no_usual_ones(
    stack: tuple[Up, dict[str, Any]],
) -> None:
    _, ready = stack
    assert not ready["api"].endswith(":8000")
    assert not ready["temporal"].endswith(":7233")


def test_a_token_of_the_folder_is_believed_by_its_api_and_a_foreign_one_is_not(
    stack: tuple[Up, dict[str, Any]], tmp_path: Path
) -> None:
    up, ready = stack
    address = f"{ready['api']}/api/v1/credits/balance"
    own = voicekeep("token", "--user", USER, "--email", "e@x.example", data=up.data)
    assert get(address, Authorization=f"Bearer {own.stdout.strip()}")[0] == 200
    foreign = voicekeep("token", "--user", USER, data=tmp_path / "elsewhere")
    assert get(address, Authorization=f"Bearer {foreign.stdout.strip()}")[0] == 401
    expired = voicekeep("token", "--user", USER, "--expires-in", "-5", data=up.data)
    assert get(address, Authorization=f"Bearer {expired.stdout.strip()}")[0] == 401


def test_granted_credits_are_on_the_balance(stack: tuple[Up, dict[str, Any]]) -> None:
    up, ready = stack
    user = str(uuid4())
    granted = voicekeep("credits", "grant", "--user", user, "--amount", "50", data=up.data)
    assert granted.stdout.strip() == "200"
    token = voicekeep("token", "--user", user, data=up.data).stdout.strip()
    _, body = get(f"{ready['api']}/api/v1/credits/balance", Authorization=f"Bearer {token}")
    assert json.loads(body)["credits"] == 200


@needs_sample
def test_a_recording_goes_through_to_words_headline_price_and_links(
    stack: tuple[Up, dict[str, Any]],
) -> None:
    up, ready = stack
    found = sent(up)
    assert found["state"] == "completed"
    words = set(found["transcript"].lower().split())
    assert set(HEARD["must_be_heard"]) <= words
    assert 0 < len(found["headline"]) <= 60
    assert found["credits"] == {"held": 2, "charged": 2}
    assert {"reserve", "probe", "transcribe", "settle", "headline"} <= set(found["steps"])
    assert all(seconds >= 0 for seconds in found["steps"].values())
    assert found["utterances"][0]["offset"] >= 0
    assert get(found["links"]["docs"])[0] == 200
    assert found["links"]["workflow"].startswith(ready["ui"])


def test_a_text_becomes_a_file_with_its_times_and_the_second_time_it_is_there(
    stack: tuple[Up, dict[str, Any]], tmp_path: Path
) -> None:
    up, ready = stack
    out, times = tmp_path / "ships.wav", tmp_path / "ships.vtt"
    text = "The keeper counted seven ships."
    command = ("speak", "--json", text, "--out", str(out), "--timings", str(times))
    first, second = (voicekeep(*command, data=up.data) for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    found = json.loads(first.stdout)
    with wave.open(str(out)) as said:
        seconds = said.getnframes() / said.getframerate()
    assert seconds == pytest.approx(found["audioSeconds"], abs=0.001)
    assert "counted seven ships" in times.read_text()
    assert found["links"]["workflow"].startswith(ready["ui"])
    assert json.loads(second.stdout)["speechId"] == found["speechId"]


@needs_sample
def test_the_history_of_a_job_replays_on_the_present_code(
    stack: tuple[Up, dict[str, Any]],
) -> None:
    up, _ = stack
    done = voicekeep("replay", sent(up)["jobId"], data=up.data)
    assert done.returncode == 0, done.stderr
    assert "replay on the present code" in done.stdout
    unknown = voicekeep("replay", f"memo-{uuid4()}", data=up.data)
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "Temporal knows of no job" in unknown.stderr


def test_the_doctor_finds_nothing_to_mend(stack: tuple[Up, dict[str, Any]]) -> None:
    up, ready = stack
    done = voicekeep("doctor", "--json", data=up.data)
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True), report
    lines = {check["name"]: check for check in report["checks"]}
    assert lines["temporal"]["level"] == "ok"
    assert ready["temporal"] in lines["temporal"]["line"]
    verified = voicekeep("doctor", "--verify", "--json", data=up.data)
    assert json.loads(verified.stdout) == {"ok": True, "violations": []}


@pytest.mark.parametrize("name", ["worker", "api", "temporal"])
def test_a_child_that_is_killed_is_restarted_at_the_same_addresses(
    stack: tuple[Up, dict[str, Any]], name: str
) -> None:
    up, ready = stack
    old = next(
        child.pid for child in psutil.Process(up.process.pid).children() if name_of(child) == name
    )
    psutil.Process(old).kill()
    # Asked while it is away: the request waits, it is not refused.
    assert get(f"{ready['api']}/health/live")[0] == 200
    event = up.event()
    assert event == {"event": "restarted", "name": name, "pid": event["pid"], "old_pid": old}
    assert name_of(psutil.Process(event["pid"])) == name
    if SAMPLE.exists():
        assert sent(up)["state"] == "completed"


def name_of(process: psutil.Process) -> str:
    """What a child is, by its command line."""
    words = process.cmdline()
    return next(name for name in ("start-dev", "worker", "api") if name in words).replace(
        "start-dev", "temporal"
    )


def test_a_second_start_on_the_same_folder_is_refused_and_disturbs_nothing(
    stack: tuple[Up, dict[str, Any]],
) -> None:
    up, ready = stack
    second = voicekeep("up", "--json", "--no-sample", *ANY_PORTS, data=up.data)
    assert (second.returncode, second.stdout) == (1, "")
    assert f"(process {up.process.pid})" in second.stderr
    assert "Traceback" not in second.stderr
    assert get(f"{ready['api']}/health/ready")[0] == 200
    assert (up.data / "run.json").exists()


def test_two_folders_run_beside_each_other_and_stop_by_themselves(
    stack: tuple[Up, dict[str, Any]], tmp_path: Path
) -> None:
    _, ready = stack
    with started(tmp_path / "other") as (other, its):
        assert {its[name] for name in ("api", "ui", "temporal")}.isdisjoint(
            {ready[name] for name in ("api", "ui", "temporal")}
        )
        family = other.family()
        assert other.stop() == 0
    assert all_gone(family)
    assert get(f"{ready['api']}/health/ready")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_everything_it_started_within_ten_seconds(
    tmp_path: Path, number: signal.Signals
) -> None:
    with started(tmp_path / "data") as (up, _):
        family = up.family()
        assert len(family) >= 3
        assert up.stop(number) == 0
    assert all_gone(family)
    assert not (up.data / "run.json").exists()


@needs_sample
def test_a_killed_supervisor_leaves_no_process_and_the_next_start_finishes_the_job(
    tmp_path: Path,
) -> None:
    with started(tmp_path / "data") as (up, ready):
        sending = subprocess.Popen(
            [*CLI, "send", "--json", str(SAMPLE), "--data", str(up.data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(),
        )
        token = voicekeep("token", "--user", LOCAL_USER, data=up.data).stdout.strip()
        memo = first_memo(ready, token)
        family = up.family()
        up.process.kill()
        up.process.wait()
        assert all_gone(family)
        sending.kill()
        sending.communicate()
    with started(tmp_path / "data") as (up, ready):
        while (state := job_state(ready, token, memo)) in {"queued", "running"}:
            time.sleep(0.2)
        assert state == "completed"
        verified = voicekeep("doctor", "--verify", "--json", data=up.data)
        assert json.loads(verified.stdout)["violations"] == []


def first_memo(ready: dict[str, Any], token: str) -> str:
    """The id of the first memo there is, as soon as there is one."""
    while True:
        _, body = get(f"{ready['api']}/api/v1/memos?limit=1", Authorization=f"Bearer {token}")
        if memos := json.loads(body)["memos"]:
            return str(memos[0]["id"])
        time.sleep(0.02)


def job_state(ready: dict[str, Any], token: str, memo: str) -> str:
    _, body = get(f"{ready['api']}/api/v1/jobs/memo-{memo}", Authorization=f"Bearer {token}")
    return str(json.loads(body)["state"])


def test_with_a_server_of_ones_own_none_is_started(
    stack: tuple[Up, dict[str, Any]], tmp_path: Path
) -> None:
    _, first = stack
    with started(tmp_path / "data", TEMPORAL_ADDRESS=first["temporal"]) as (up, ready):
        assert ready["temporal"] == first["temporal"]
        assert ready["pids"]["temporal"] is None
        assert ready["ui"] is None
        assert {name_of(child) for child in up.family()} == {"api", "worker"}
        assert up.stop() == 0
    assert get(f"{first['api']}/health/ready")[0] == 200


def test_a_port_that_is_taken_is_said_with_the_option_to_change_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = voicekeep("up", "--json", "--port", port, data=tmp_path / "data")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip().endswith("choose another with --port")


def test_a_usual_port_that_is_taken_is_replaced_by_a_free_one(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        options = ("--temporal-port", "0", "--ui-port", "0")
        with Up(tmp_path / "data", options, {"PORT": port}) as up:
            ready = up.event()
            assert not ready["api"].endswith(f":{port}")
            assert get(f"{ready['api']}/health/live")[0] == 200
            assert up.stop() == 0


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({"PORT": "eighty"}, 2, "PORT is wrong"),
        ({"TEMPORAL_CLI": "/nowhere/temporal"}, 3, "TEMPORAL_CLI names /nowhere/temporal"),
        ({"DATABASE_URL": "oracle://x"}, 3, "migrate ended with status"),
    ],
)
def test_what_cannot_come_up_ends_with_a_sentence_and_its_exit_code(
    tmp_path: Path, changes: dict[str, str], status: int, says: str
) -> None:
    done = voicekeep("up", "--json", "--no-sample", *ANY_PORTS, data=tmp_path / "d", **changes)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
