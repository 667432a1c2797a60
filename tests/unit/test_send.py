"""`voicekeep send` against an API that misbehaves, over real sockets."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Rejected, Unavailable
from runtime.data_folder import DataFolder, Running
from runtime.send import Sent, send
from runtime.send_progress import shown
from runtime.send_report import as_json, as_text, clock, steps, succeeded
from runtime.settings import load
from runtime.target import Target, find_target
from tests.answering_api import AnsweringApi, event

JOB = "memo-1"
MEMO = {"id": "1", "title": "A headline", "intro": "An intro."}
EVENTS = [
    event(1, "state", state="queued"),
    event(2, "state", state="running", step="probe"),
    event(3, step="probe", seconds=0.25, held=3),
    event(4, step="transcribe", tier="local", percent=50),
    event(5, step="transcribe", tier="local", seconds=1.5),
    event(6, step="settle", charged=2),
    event(7, "done", state="completed", step="done"),
]


def job(**changes: Any) -> dict[str, Any]:
    return {
        "id": JOB,
        "subjectId": "1",
        "state": "completed",
        "credits": {"held": 0, "charged": 2},
        "cost": {"credits": 2, "seconds": 61.5},
        "error": None,
    } | changes


class FakeApi(AnsweringApi):
    """Takes a recording."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = [EVENTS]
        self.upload_status = 201
        self.error: dict[str, Any] = {}
        self.job = job()
        self.transcript_status = 200

    def posted(self, path: str) -> tuple[int, Any]:
        body = {"jobId": JOB, "memoId": "1"} if self.upload_status == 201 else self.error
        return self.upload_status, body

    def read(self, path: str) -> tuple[int, Any]:
        if "transcript" in path:
            utterance = {"offset": 65_400, "text": "hi"}
            return self.transcript_status, {"transcript": "hello", "utterances": [utterance]}
        return 200, self.job if "/jobs/" in path else {"memo": MEMO}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "memo.m4a"
    path.write_bytes(b"sound" * 50_000)
    return path


def sent(api: FakeApi, file: Path) -> Sent:
    target = Target(api=api.url, token="the-token", ui="http://ui", namespace="ns")
    with shown(quiet=True) as progress:
        return send(target, file, ["en-US", "de-DE"], progress, pause=0.01)


def test_a_file_goes_out_whole_with_its_name_and_languages(api: FakeApi, file: Path) -> None:
    found = sent(api, file)
    [upload] = api.bodies
    assert file.read_bytes() in upload
    assert b'filename="memo.m4a"' in upload
    assert re.findall(rb'recordingLanguages"\r\n\r\n(\S+)', upload) == [b"en-US", b"de-DE"]
    assert succeeded(found)
    assert api.asked[0] == ("POST", "/api/v1/memos/upload")


def test_a_stream_that_breaks_off_is_taken_up_after_its_last_event(
    api: FakeApi, file: Path
) -> None:
    api.streams = [EVENTS[:3], 503, [], EVENTS[3:]]
    found = sent(api, file)
    assert list(found.events) == EVENTS
    assert api.resumed_after == [None, "3", "3", "3"]


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (402, {"error": "Insufficient credits", "code": "insufficient_credits"}, Rejected),
        (415, {"error": "That is text", "code": "unsupported_media_type"}, Rejected),
        (503, {"error": "Temporal does not answer", "code": "unavailable"}, Unavailable),
        (502, {"detail": "bad gateway"}, Unavailable),
    ],
)
def test_a_refusal_is_said_in_the_words_of_the_api(
    api: FakeApi, file: Path, status: int, error: dict[str, Any], kind: type[Exception]
) -> None:
    api.upload_status, api.error = status, error
    with pytest.raises(kind) as raised:
        sent(api, file)
    assert str(raised.value) == error.get("error", f"The API answered {status}")


def test_an_api_that_is_away_is_unavailable(api: FakeApi, file: Path) -> None:
    away = Target(api="http://127.0.0.1:1", token="t")
    with shown(quiet=True) as progress, pytest.raises(Unavailable, match="No answer from"):
        send(away, file, [], progress)


def test_the_report_has_words_with_times_money_steps_and_links(api: FakeApi, file: Path) -> None:
    found = sent(api, file)
    text = as_text(found)
    for words in (
        "1:05.4     hi",
        "A headline",
        "An intro.",
        "3 held, 2 charged",
        "61.5 s of audio",
        "transcribe 1.50 s",
        f"{api.url}/docs",
        "http://ui/namespaces/ns/workflows/memo-1",
    ):
        assert words in text
    data = json.loads(as_json(found))
    assert data["credits"] == {"held": 3, "charged": 2}
    assert data["event"] == "sent"
    assert data["utterances"] == [{"offset": 65_400, "text": "hi"}]


def test_a_step_takes_what_it_said_or_the_time_since_the_event_before(
    api: FakeApi, file: Path
) -> None:
    assert steps(sent(api, file)) == [
        ("reserve", 1.0),
        ("probe", 0.25),
        ("transcribe", 1.5),
        ("settle", 1.0),
        ("end", 1.0),
    ]


@pytest.mark.parametrize(
    ("state", "good"),
    [
        ("completed", True),
        ("completed_no_transcript", True),
        ("failed", False),
        ("cancelled", False),
    ],
)
def test_a_job_that_ended_badly_is_no_success_and_says_why(
    api: FakeApi, file: Path, state: str, good: bool
) -> None:
    error = None if good else {"code": "audio_corrupt", "message": "Nothing could be decoded"}
    api.job, api.transcript_status = job(state=state, error=error), 404
    found = sent(api, file)
    assert succeeded(found) is good
    assert ("Nothing could be decoded (audio_corrupt)" in as_text(found)) is not good
    assert json.loads(as_json(found))["transcript"] is None


@pytest.mark.parametrize(
    ("milliseconds", "shown_as"),
    [(0, "0:00.0"), (7_300, "0:07.3"), (65_400, "1:05.4"), (3_723_400, "1:02:03.4")],
)
def test_times_read_like_a_clock(milliseconds: int, shown_as: str) -> None:
    assert clock(milliseconds) == shown_as


def test_the_target_is_what_runs_on_the_folder_or_what_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load(None, DATA_DIR=tmp_path)
    with pytest.raises(Unavailable, match="voicekeep up"):
        find_target(settings, None)
    running = Running(
        pid=1, api="http://127.0.0.1:9", ui="http://ui", temporal="t", namespace="mine"
    )
    DataFolder(tmp_path).announce(running)
    found = find_target(settings, None)
    assert (found.api, found.ui, found.namespace) == ("http://127.0.0.1:9", "http://ui", "mine")
    assert found.token.count(".") == 2
    monkeypatch.setenv("VOICEKEEP_API", "https://elsewhere/")
    monkeypatch.setenv("VOICEKEEP_TOKEN", "t")
    assert find_target(settings, None) == Target(api="https://elsewhere", token="t")


def test_nothing_is_shown_where_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    with shown() as progress:
        progress.reading(io.BytesIO(b"x" * 10), 10).read()
        for each in EVENTS:
            progress.event(each)
    assert capfd.readouterr() == ("", "")


def test_the_counted_file_is_the_file() -> None:
    data = bytes(range(256)) * 1000
    with shown(quiet=True) as progress:
        counted = progress.reading(io.BytesIO(data), len(data))
        assert b"".join(counted) == data
        counted.seek(0)
        assert counted.read() == data


def test_a_person_sees_the_step_that_is_at_work_not_the_one_that_ended() -> None:
    with shown(quiet=True) as progress:
        seen = []
        for each in EVENTS:
            progress.event(each)
            seen.append(progress.job.description)
    assert seen == [
        "waiting for a worker",
        "looking into the audio",
        "transcribing",
        "transcribing",
        "settling the price",
        "finding a headline",
        "done",
    ]
