"""The jobs of the stand-in for Azure's batch transcription.

After the reference "Transcriptions - Submit" of the speech to text REST API and the page "Get batch
transcription results": a job waits, runs, and is done or has failed; results and a report are files
of it, each behind a signed address; a list has pages. Here a job moves on each time it is asked
about, so that a test knows when.
"""

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from tests.fakes.http_wire import Response, json_response
from tests.fakes.listening import Heard, NotAudio, Said, listen

FIELDS: Final = {
    *("contentUrls", "locale", "displayName", "description", "model", "customProperties"),
    *("properties",),
}
PROPERTIES: Final = {
    *("timeToLiveHours", "wordLevelTimestampsEnabled", "displayFormWordLevelTimestampsEnabled"),
    *("punctuationMode", "profanityFilterMode", "channels", "diarization"),
    *("languageIdentification", "destinationContainerUrl"),
}
TICKS: Final = 10_000


class BadJob(Exception):
    """A submission that is refused; the sentence says why."""


@dataclass
class Job:
    """One job: what was asked for, how often it was asked about, what came of it."""

    id: str
    made: dict[str, Any]
    created: str
    asked: int = 0
    error: str | None = None
    files: list[tuple[str, str, Any]] = field(default_factory=list)
    done: bool = False


@dataclass
class Jobs:
    """All jobs of one resource.

    Attributes:
        waiting: how often a job is asked about before it runs.
        running: and how often then, before it is done.
        retry_after: seconds told while it is not done.
        fail: code of the error every job fails with, instead of being done.
        fail_file: kind of the error its file fails with, in a job that is done.
        page: most entries of a page.
        recognise: listens with pocketsphinx.
    """

    waiting: int = 1
    running: int = 1
    retry_after: int | None = None
    fail: str | None = None
    fail_file: str | None = None
    page: int = 100
    recognise: bool = False
    jobs: dict[str, Job] = field(default_factory=dict)

    def submit(self, made: dict[str, Any]) -> Job:
        _check(made)
        # Made in this order, whatever the clock says.
        at = datetime.now(UTC) + timedelta(microseconds=len(self.jobs))
        job = Job(str(uuid.uuid4()), made, at.isoformat())
        self.jobs[job.id] = job
        return job

    async def look(self, job: Job) -> None:
        """Somebody asks how far it is."""
        job.asked += 1
        if job.asked > self.waiting + self.running and not job.done:
            await self._finish(job)
            job.done = True

    def shown(self, job: Job, url: str) -> dict[str, Any]:
        status = "NotStarted" if job.asked <= self.waiting else "Running"
        properties: dict[str, Any] = {"timeToLiveHours": job.made["properties"]["timeToLiveHours"]}
        if job.done:
            status = "Failed" if job.error else "Succeeded"
        if job.done and job.error:
            properties["error"] = {"code": job.error, "message": "It did not work."}
        address = f"{url}/speechtotext/transcriptions/{job.id}"
        return {
            "self": f"{address}?api-version=2025-10-15",
            "links": {"files": f"{address}/files?api-version=2025-10-15"},
            "displayName": job.made["displayName"],
            "locale": job.made["locale"],
            "createdDateTime": job.created,
            "lastActionDateTime": job.created,
            "status": status,
            "properties": properties,
        }

    def paged(
        self, entries: Sequence[Mapping[str, Any]], skip: int, address: str
    ) -> Mapping[str, Any]:
        shown: dict[str, Any] = {"values": list(entries[skip : skip + self.page])}
        if skip + self.page < len(entries):
            mark = "&" if "?" in address else "?"
            shown["@nextLink"] = f"{address}{mark}skip={skip + self.page}"
        return shown

    async def _finish(self, job: Job) -> None:
        source = job.made["contentUrls"][0]
        if self.fail:
            job.error = self.fail
            return
        problem, heard = self.fail_file, None
        if not problem:
            try:
                heard = await self._fetch(source)
            except (httpx.HTTPError, NotAudio) as error:
                problem = "InvalidAudioFormat" if isinstance(error, NotAudio) else "InvalidUri"
        if heard is not None:
            job.files.append(
                ("contenturl_0.json", "Transcription", _result(job.made, source, heard))
            )
        job.files.append(("report.json", "TranscriptionReport", _report(source, problem)))

    async def _fetch(self, url: str) -> Heard:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(url)
            answer.raise_for_status()
        return listen(answer.content, recognise=self.recognise)


def _report(source: str, problem: str | None) -> dict[str, Any]:
    detail = {"source": source, "status": "Failed" if problem else "Succeeded"}
    if problem:
        detail |= {"errorKind": problem, "errorMessage": f"{source} did not work."}
    return {
        "successfulTranscriptionsCount": 0 if problem else 1,
        "failedTranscriptionsCount": 1 if problem else 0,
        "details": [detail],
    }


def _result(made: Mapping[str, Any], source: str, heard: Heard) -> dict[str, Any]:
    properties = made["properties"]
    speakers = itertools.cycle((1, 2)) if "diarization" in properties else itertools.repeat(None)
    named = "languageIdentification" in properties
    phrases = [
        _phrase(said, speaker, made["locale"] if named else None)
        for said, speaker in zip(heard.said, speakers, strict=False)
    ]
    display = " ".join(said.text for said in heard.said)
    return {
        "source": source,
        "timestamp": "2026-01-01T00:00:00Z",
        "durationInTicks": float(heard.seconds * 1000 * TICKS),
        "durationMilliseconds": round(heard.seconds * 1000),
        "combinedRecognizedPhrases": [{"channel": 0, "display": display}] if phrases else [],
        "recognizedPhrases": phrases,
    }


def _phrase(said: Said, speaker: int | None, locale: str | None) -> dict[str, Any]:
    phrase: dict[str, Any] = {
        "recognitionStatus": "Success",
        "channel": 0,
        "offsetInTicks": float(said.offset * TICKS),
        "durationInTicks": float(said.duration * TICKS),
        "nBest": [
            {
                "confidence": 0.9,
                "display": said.text,
                "displayWords": [
                    {
                        "displayText": word.text,
                        "offsetInTicks": float(word.offset * TICKS),
                        "durationInTicks": float(word.duration * TICKS),
                    }
                    for word in said.words
                ],
            },
            {"confidence": 0.4, "display": said.text.lower()},
        ],
    }
    told = {"speaker": speaker, "locale": locale}
    return phrase | {name: value for name, value in told.items() if value is not None}


def _check(made: dict[str, Any]) -> None:
    """What the vendor checks of a submission."""
    if unknown := set(made) - FIELDS:
        raise BadJob(f"unknown members {sorted(unknown)}")
    for name in ("locale", "displayName", "contentUrls", "properties"):
        if not made.get(name):
            raise BadJob(f"{name} is required")
    properties = made["properties"]
    if unknown := set(properties) - PROPERTIES:
        raise BadJob(f"unknown properties {sorted(unknown)}")
    if not 6 <= properties.get("timeToLiveHours", 0) <= 744:
        raise BadJob("timeToLiveHours must be between 6 and 744")
    candidates = properties.get("languageIdentification", {}).get("candidateLocales", ["", ""])
    if not 2 <= len(candidates) <= 10:
        raise BadJob("there must be 2 to 10 candidate locales")
    if not 2 <= properties.get("diarization", {}).get("maxSpeakers", 2) <= 35:
        raise BadJob("maxSpeakers must be between 2 and 35")


def not_found() -> Response:
    body = {"code": "NotFound", "message": "The specified entity cannot be found."}
    return json_response(body, 404)
