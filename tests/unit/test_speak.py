"""`voicekeep speak` against an API that misbehaves, over real sockets, and its options."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import voicekeep as commands
from commands import client
from contracts.errors import NotFound, Rejected, Unavailable
from contracts.speech import MAX_SPEED, MIN_SPEED, SpeechFormat
from runtime.send_progress import shown
from runtime.settings import load
from runtime.speak import Spoken, Wish, form_of, speak
from runtime.speak_report import as_json, as_text
from runtime.target import Target
from tests.answering_api import AnsweringApi, event

ID = "7780d61c-c5fb-4bbf-b554-00a2b11101a5"
AUDIO = bytes(range(256)) * 700
EVENTS = [
    event(1, "state", state="queued"),
    event(2, "state", state="running", step="speak"),
    event(3, step="speak", part=0, seconds=0.25),
    event(4, step="speak", part=1, seconds=0.25),
    event(5, step="join"),
    event(6, "done", state="completed", step="done"),
]
REFUSED = {"error": "This key lacks the scope", "code": "missing_scope"}


class FakeApi(AnsweringApi):
    """Takes a text; the file is as `speech` says each time it is asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = [EVENTS]
        self.status = 201
        self.error: dict[str, Any] = {}
        self.states = ["generating", "ready"]
        self.failure: dict[str, Any] | None = None
        self.job: tuple[int, Any] = (200, {"credits": {"held": 0, "charged": 3}})
        self.audio: tuple[int, Any] = (200, AUDIO)
        self.timings: list[dict[str, Any]] = [{"text": "hi"}, {"text": "there"}]

    def speech(self) -> dict[str, Any]:
        state = self.states.pop(0)
        ready = state == "ready"
        return {
            "id": ID,
            "jobId": f"speech-{ID}",
            "status": state,
            "format": "wav",
            "size": len(AUDIO) if ready else None,
            "seconds": 2.55 if ready else None,
            "tier": "local" if ready else None,
            "url": f"/api/v1/speech/{ID}/audio" if ready else None,
            "error": self.failure,
        }

    def posted(self, path: str) -> tuple[int, Any]:
        return self.status, self.error or {"speech": self.speech()}

    def read(self, path: str) -> tuple[int, Any]:
        if "/jobs/" in path:
            return self.job
        if path.endswith("/audio"):
            return self.audio
        if "timings" in path:
            return 200, b"WEBVTT\n" if "vtt" in path else {"timings": self.timings}
        return 200, {"speech": self.speech()}


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with FakeApi() as found:
        yield found


def spoken(api: FakeApi, out: Path, timings: Path | None = None) -> Spoken:
    target = Target(api=api.url, token="the-token", ui="http://ui", namespace="ns")
    wish = Wish(fields={"text": "Hi there.", "voice": "nova"}, out=out, timings=timings)
    with shown(quiet=True) as progress:
        return speak(target, wish, progress, pause=0.01)


def test_the_audio_and_its_times_are_files_and_the_report_says_which(
    api: FakeApi, tmp_path: Path
) -> None:
    out, times = tmp_path / "a.wav", tmp_path / "a.vtt"
    found = spoken(api, out, times)
    assert json.loads(api.bodies[0]) == {"text": "Hi there.", "voice": "nova"}
    assert (out.read_bytes(), times.read_bytes()) == (AUDIO, b"WEBVTT\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.vtt", "a.wav"]
    # A long path has a line to itself, and stays whole.
    text = " ".join(as_text(found, timings_wanted=True).split())
    for words in (
        "2.5 s of audio by `local`",
        f"179.2 kB in {out}",
        f"2 in {times}",
        "3 charged",
        f"{api.url}/api/v1/speech/{ID}",
        f"http://ui/namespaces/ns/workflows/speech-{ID}",
    ):
        assert words in text
    data = json.loads(as_json(found))
    assert (data["event"], data["status"], data["tier"]) == ("spoken", "ready", "local")
    assert (data["file"], data["credits"]) == (str(out), {"charged": 3})


def test_into_a_folder_it_goes_by_a_name_of_its_own(api: FakeApi, tmp_path: Path) -> None:
    assert spoken(api, tmp_path).out == tmp_path / "speech-7780d61c.wav"


def test_what_is_there_already_is_fetched_at_once_and_costs_nothing(
    api: FakeApi, tmp_path: Path
) -> None:
    api.states = ["ready"]
    found = spoken(api, tmp_path / "a.wav")
    assert [path for _, path in api.asked] == ["/api/v1/speech", f"/api/v1/speech/{ID}/audio"]
    assert found.charged == 0
    assert "it was there already" in as_text(found, timings_wanted=False)


def test_one_that_failed_before_is_followed_beyond_the_end_of_its_first_round(
    api: FakeApi, tmp_path: Path
) -> None:
    again = [event(7, "state", state="queued"), event(8, "done", state="completed")]
    api.streams, api.states = [EVENTS, again], ["generating", "generating", "ready"]
    found = spoken(api, tmp_path / "a.wav")
    assert found.ready
    assert api.resumed_after == [None, "6"]


def test_a_failure_leaves_no_file_and_says_why(api: FakeApi, tmp_path: Path) -> None:
    api.states = ["generating", "failed"]
    api.failure = {"code": "provider_busy", "message": "The vendor is overloaded"}
    found = spoken(api, tmp_path / "a.wav", tmp_path / "a.vtt")
    assert not found.ready
    assert list(tmp_path.iterdir()) == []
    text = as_text(found, timings_wanted=True)
    assert "The vendor is overloaded (provider_busy)" in text
    assert "Timings" not in text


def test_an_engine_that_tells_no_times_leaves_no_file_for_them(
    api: FakeApi, tmp_path: Path
) -> None:
    api.timings = []
    found = spoken(api, tmp_path / "a.wav", tmp_path / "a.vtt")
    assert found.timings is None
    assert not (tmp_path / "a.vtt").exists()
    assert "none: `local` does not tell" in as_text(found, timings_wanted=True)


def test_a_key_for_speech_alone_is_enough_and_is_not_told_the_charge(
    api: FakeApi, tmp_path: Path
) -> None:
    api.job = (403, REFUSED)
    found = spoken(api, tmp_path / "a.wav")
    assert found.charged is None
    assert "charged" not in as_text(found, timings_wanted=False)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (402, {"error": "Insufficient credits", "code": "insufficient_credits"}, Rejected),
        (400, {"error": "No configured engine has this voice", "code": "unknown_voice"}, Rejected),
        (503, {"error": "Temporal does not answer", "code": "unavailable"}, Unavailable),
    ],
)
def test_a_refusal_of_a_text_is_said_in_the_words_of_the_api(
    api: FakeApi, tmp_path: Path, status: int, error: dict[str, Any], kind: type[Exception]
) -> None:
    api.status, api.error = status, error
    with pytest.raises(kind, match=error["error"]):
        spoken(api, tmp_path / "a.wav")


def test_audio_that_was_deleted_meanwhile_leaves_the_old_file_as_it_was(
    api: FakeApi, tmp_path: Path
) -> None:
    out = tmp_path / "a.wav"
    out.write_bytes(b"old")
    api.audio = (404, {"error": "Not found", "code": "not_found"})
    with pytest.raises(NotFound):
        spoken(api, out)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
    assert out.read_bytes() == b"old"


def test_a_file_that_cannot_be_written_is_said_by_its_name(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Rejected, match=r"file/a\.wav cannot be written: Not a directory"):
        spoken(api, tmp_path / "file" / "a.wav")


@pytest.mark.parametrize(
    ("out", "said", "form"),
    [
        (None, None, "mp3"),
        (Path("a.OGG"), None, "opus"),
        (Path("a.flac"), None, "flac"),
        (Path("a.txt"), None, "mp3"),
        (Path("a.wav"), "pcm", "pcm"),
    ],
)
def test_the_format_is_what_was_said_else_what_the_name_ends_in(
    out: Path | None, said: str | None, form: str
) -> None:
    assert form_of(out, said) == form


def test_the_options_offer_what_the_contract_knows() -> None:
    assert tuple(SpeechFormat) == client.FORMS
    assert (client.SPEED.min, client.SPEED.max) == (MIN_SPEED, MAX_SPEED)


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["Hi", "--file", __file__], b"", "Either a text or --file FILE."),
        ([], b"\xff\xfe", "The text is not UTF-8."),
        (["Hi", "--out", "/nowhere/a.mp3"], b"", "There is no folder /nowhere."),
        (["Hi", "--timings", "/"], b"", "/ is a folder."),
        (["Hi", "--format", "wma"], b"", "'wma' is not one of"),
        (["Hi", "--speed", "9"], b"", "9.0 is not in the range"),
    ],
    ids=["two texts", "no text", "no folder", "a folder", "format", "speed"],
)
def test_a_wrong_option_of_speak_is_said_before_anything_is_asked(
    arguments: list[str], stdin: bytes, says: str
) -> None:
    done = CliRunner().invoke(commands, ["speak", *arguments], input=stdin)
    assert (done.exit_code, says in done.output) == (2, True)


def test_the_sample_ends_with_what_else_may_be_tried(tmp_path: Path) -> None:
    said = " ".join(client.what_next(load(None, DATA_DIR=tmp_path), "http://api").split())
    assert f'voicekeep speak "Seven ships." --data {tmp_path}' in said
    assert "http://api/v1 with the key of" in said
    usual = client.what_next(load(None, DATA_DIR=Path(".voicekeep")), "http://api")
    assert "--data" not in usual


def test_a_person_sees_how_many_parts_are_spoken() -> None:
    with shown(quiet=True) as progress:
        seen = []
        for each in EVENTS:
            progress.event(each)
            seen.append(progress.job.description)
    assert seen == [
        "waiting for a worker",
        "speaking",
        "speaking, 1 part done",
        "speaking, 2 parts done",
        "making one file of it",
        "done",
    ]
