"""The supervisor of `voicekeep up` over parts that misbehave (``tests/fakes/parts.py``)."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.embedded import ROOT, all_gone, clean_environment, pids

pytestmark = pytest.mark.e2e

PARTS = str(ROOT / "tests" / "fakes" / "parts.py")

Process = subprocess.Popen[str]


@contextmanager
def supervised(folder: Path, **parts: str) -> Iterator[tuple[Process, dict[str, Any]]]:
    with begun(folder, **parts) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.wait()
        yield process, json.loads(line)


@contextmanager
def begun(folder: Path, **parts: str) -> Iterator[Process]:
    behaviours = {f"PART_{name.upper()}": behaviour for name, behaviour in parts.items()}
    process = subprocess.Popen(
        [sys.executable, PARTS, "up", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(PYTHONPATH=str(ROOT), **behaviours),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_event(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def below(process: Process) -> list[psutil.Process]:
    return list(psutil.Process(process.pid).children(recursive=True))


def test_a_part_that_dies_now_and_then_before_all_is_ready_is_given_more_tries(
    tmp_path: Path,
) -> None:
    with supervised(tmp_path, worker="dies twice") as (process, ready):
        assert ready["event"] == "ready"
        assert psutil.pid_exists(pids(ready)["worker"])
        process.terminate()
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"worker": "dies"}, "worker does not stay up; its log says why"),
        ({"migrate": "fails"}, "migrate ended with status 5; its log says why"),
        ({"schedules": "fails"}, "schedules ended with status 5; its log says why"),
    ],
)
def test_a_part_that_cannot_come_up_ends_the_start_with_a_sentence_and_nothing_left(
    tmp_path: Path, parts: dict[str, str], says: str
) -> None:
    with begun(tmp_path, **parts) as process:
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert err.splitlines()[-1] == says


def test_a_part_that_does_not_listen_is_killed_in_time(tmp_path: Path) -> None:
    with supervised(tmp_path, api="deaf") as (process, _):
        family = below(process)
        process.terminate()
        assert process.wait(timeout=10) == 0
        assert all_gone(family)


def test_what_a_dead_part_left_behind_is_ended_before_the_next_one(tmp_path: Path) -> None:
    with supervised(tmp_path, worker="leaves children") as (process, ready):
        worker = psutil.Process(pids(ready)["worker"])
        while len(left := worker.children()) < 2:
            time.sleep(0.02)
        worker.kill()
        assert next_event(process)["old_pid"] == worker.pid
        assert all_gone(left)
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_a_stop_ends_what_the_parts_left_behind(tmp_path: Path) -> None:
    with supervised(tmp_path, worker="leaves children") as (process, _):
        while len(family := below(process)) < 4:
            time.sleep(0.02)
        process.terminate()
        assert process.wait(timeout=10) == 0
        assert all_gone(family)


def test_processes_that_were_orphaned_and_ended_do_not_pile_up(tmp_path: Path) -> None:
    with supervised(tmp_path, worker="leaves orphans that end") as (process, ready):
        ours = set(pids(ready).values())
        deadline = time.monotonic() + 30
        while {child.pid for child in below(process)} != ours:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_a_part_that_dies_again_and_again_is_restarted_with_growing_pauses(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, ready):
        pid = pids(ready)["worker"]
        times = [time.monotonic()]
        for _ in range(4):
            os.kill(pid, signal.SIGKILL)
            event = next_event(process)
            assert (event["name"], event["old_pid"]) == ("worker", pid)
            pid = event["pid"]
            times.append(time.monotonic())
        pauses = [after - before for before, after in pairwise(times)]
        # Only what must have been waited at least: 0.1, 0.2, 0.4, 0.8 s.
        least = (0.1, 0.2, 0.4, 0.8)
        assert all(pause >= bound for pause, bound in zip(pauses, least, strict=True))
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_a_stop_in_the_pause_before_a_restart_does_not_wait_for_it(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, ready):
        pid = pids(ready)["worker"]
        for _ in range(6):
            os.kill(pid, signal.SIGKILL)
            pid = next_event(process)["pid"]
        os.kill(pid, signal.SIGKILL)
        process.terminate()
        assert process.wait(timeout=10) == 0


def test_a_start_waits_for_the_last_process_of_a_killed_set_up(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, ready):
        family = below(process)
        process.kill()
        process.wait()
        with supervised(tmp_path) as (second, again):
            assert all_gone(family)
            assert again["pids"] != ready["pids"]
            second.terminate()
            assert second.wait(timeout=10) == 0


def test_a_stop_before_all_is_ready_ends_everything(tmp_path: Path) -> None:
    with begun(tmp_path, worker="dies twice") as process:
        while not (tmp_path / "deaths").exists():
            time.sleep(0.02)
        family = below(process)
        process.terminate()
        assert process.wait(timeout=10) == 0
        assert all_gone(family)


def test_children_inherit_no_settings_of_another_server_and_look_into_no_file(
    tmp_path: Path,
) -> None:
    with supervised(tmp_path) as (process, ready):
        env = psutil.Process(pids(ready)["worker"]).environ()
        assert env["ENV_FILE"] == ""
        assert env["DATA_DIR"] == str(tmp_path)
        assert env["EMBEDDED_ISSUER"] == "true"
        assert env["TEMPORAL_ADDRESS"] == ready["temporal"]
        process.terminate()
        assert process.wait(timeout=10) == 0
