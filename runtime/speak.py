"""`voicekeep speak`: one text through the public HTTP API, until its audio is a file here."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import httpx

from contracts.errors import Rejected
from contracts.speech import SpeechFormat
from runtime.send_progress import Progress
from runtime.target import RECONNECT_SECONDS, Api, Target

SPEECH: Final = "/api/v1/speech"
STDOUT: Final = Path("-")
SUFFIXES: Final = {".ogg": "opus"} | {f".{form}": form.value for form in SpeechFormat}
"""Formats by the ends of file names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be said, and where to.

    Attributes:
        fields: the body of the request.
        out: the audio goes there, `-` is stdout; none: a name of its own in this folder.
        timings: WebVTT goes there; none: nobody wants it.
    """

    fields: dict[str, Any]
    out: Path | None = None
    timings: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Everything known of a text that went through.

    Attributes:
        events: what the job told on its way, in order; none: the audio was there already.
        charged: credits, 0 for what was there already; none: the token may not read jobs.
        out: the audio; none: there is none, or it went to stdout.
        timings: the WebVTT that was written.
        timed: words and sentences in it.
        seconds: from the request to the last byte of the audio.
    """

    speech: dict[str, Any]
    events: tuple[dict[str, Any], ...]
    charged: int | None
    out: Path | None
    timings: Path | None
    timed: int
    seconds: float
    target: Target

    @property
    def ready(self) -> bool:
        """Whether there is audio."""
        return bool(self.speech["status"] == "ready")


def form_of(out: Path | None, said: str | None) -> str:
    """The format that was said, else the one the file's name ends in, else mp3."""
    ending = "" if out is None else out.suffix.lower()
    return said or SUFFIXES.get(ending, SpeechFormat.MP3)


def speak(
    target: Target, wish: Wish, progress: Progress, *, pause: float = RECONNECT_SECONDS
) -> Spoken:
    """Order the text, follow its job to the end, and fetch the audio.

    Args:
        pause: seconds before a broken stream of events is taken up again.

    Raises:
        Failure: the API refuses; Unavailable: it is away.
        Rejected: ``not_written``; a file cannot be written here.
    """
    began = time.monotonic()
    with Api.open(target, pause) as api:
        speech = api.call("POST", SPEECH, json=wish.fields)["speech"]
        path = f"{SPEECH}/{speech['id']}"
        events: list[dict[str, Any]] = []
        # One that failed and is made again has an end of its first round among its events.
        while speech["status"] == "generating":
            for event in api.follow(f"{path}/events", events[-1]["seq"] if events else 0):
                events.append(event)
                progress.event(event)
            speech = api.get(path)["speech"]
        out, timed = None, 0
        if speech["status"] == "ready":
            out = _fetch(api, speech, wish.out, progress)
            timed = _tell_times(api, speech, wish.timings) if wish.timings else 0
        return Spoken(
            speech=speech,
            charged=_charged(api, speech) if events else 0,
            events=tuple(events),
            out=out,
            timings=wish.timings if timed else None,
            timed=timed,
            seconds=time.monotonic() - began,
            target=target,
        )


def _charged(api: Api, speech: dict[str, Any]) -> int | None:
    """What its job cost; an API key that is for speech alone is not told."""
    try:
        return int(api.get(f"/api/v1/jobs/{speech['jobId']}")["credits"]["charged"])
    except Rejected as refused:
        if refused.code != "missing_scope":
            raise
        return None


def _fetch(api: Api, speech: dict[str, Any], out: Path | None, progress: Progress) -> Path | None:
    """Write the audio where it is wanted; returns the file."""
    if out == STDOUT:
        _copy(api, speech, sys.stdout.buffer, progress)
        return None
    own = Path(f"speech-{speech['id'][:8]}.{speech['format']}")
    target = own if out is None else out / own if out.is_dir() else out
    with _whole(target) as file:
        _copy(api, speech, file, progress)
    return target


def _copy(api: Api, speech: dict[str, Any], target: IO[bytes], progress: Progress) -> None:
    progress.fetching(speech["size"])
    try:
        with api.stream(speech["url"]) as answer:
            for chunk in answer.iter_bytes():
                target.write(chunk)
                progress.fetched(len(chunk))
    except httpx.TransportError as error:
        raise api.no_answer() from error
    target.flush()


def _tell_times(api: Api, speech: dict[str, Any], target: Path) -> int:
    """Write the WebVTT, where the engine told any times; returns how many."""
    path = f"{SPEECH}/{speech['id']}/timings"
    count = len(api.get(path)["timings"])
    if count:
        with _whole(target) as file, api.stream(f"{path}?format=vtt") as answer:
            file.write(answer.read())
    return count


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """A file that has its name once all of it is there.

    Raises:
        Rejected: ``not_written``.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with ExitStack() as undo:
            with draft.open("wb") as file:
                undo.callback(draft.unlink)
                yield file
            draft.replace(target)
            undo.pop_all()
    except OSError as error:
        raise Rejected(
            f"{target} cannot be written: {error.strerror}", code="not_written"
        ) from error
