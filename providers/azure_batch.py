"""Azure batch transcription: submitted with a link to the audio, fetched when it is done.

Facts by Microsoft's pages "Create a batch transcription" and "Get batch transcription results": no
idempotency key, so that ``displayName`` stands for one; queueing alone can take half an hour; a job
that succeeded can hold a file that failed; results lie in blob storage behind signed addresses.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from contracts.audio import AudioFacts
from contracts.batch import BatchState, VendorJob
from contracts.errors import NoSpeech, ProviderBroken, ProviderBusy, ProviderOut
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart
from providers import failures
from providers.azure_answers import BatchAnswer, part_of_batch
from providers.azure_batch_shapes import (
    FAILED,
    PHASES,
    Files,
    Job,
    Jobs,
    Made,
    Page,
    Report,
    submission,
)
from providers.azure_locales import locales
from providers.azure_speech import (
    CONTAINERS,
    GONE,
    PROVIDER,
    About,
    AzureSpeech,
    SpeechCredential,
    of_error,
)
from providers.vendor_http import UNREADABLE, Answer, origin

CALL_SECONDS: Final = 60.0
"""Bound of a call that moves no transcript."""
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
MAX_RESULT_BYTES: Final = 96 * 1024 * 1024
"""Twelve hours of words, each with its times and several ways to understand it."""
MOST_PAGES: Final = 100
RESULT_HOSTS: Final = ".blob.core.windows.net"

Shape = TypeVar("Shape", bound=BaseModel)
Pages = TypeVar("Pages", bound=Page)


@dataclass(frozen=True)
class BatchOptions:
    """What the settings say about it.

    Attributes:
        locales: asked for when a memo names no language; BCP 47 with a region.
        speakers: most speakers told apart, 2 to 35.
        max_bytes: largest file taken.
        staging_url: address of the blob service; results may be fetched from there too.
    """

    locales: tuple[str, ...]
    speakers: int
    max_bytes: int
    staging_url: str


class AzureBatch:
    """Implements ``BatchTranscriber`` of ``activities.batch_ports``.

    An answer that cannot be read is ``ProviderBusy`` here: what is asked again costs nothing, and
    a job that has been bought is not given up for it.
    """

    def __init__(self, speech: AzureSpeech, options: BatchOptions) -> None:
        self._speech = speech
        self._options = options

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""
        return PROVIDER

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives; one channel, since speakers are told apart in mono alone."""
        return Capabilities(
            containers=CONTAINERS,
            channels=1,
            max_bytes=self._options.max_bytes,
            diarization=True,
            word_times=True,
        )

    async def find(self, operation: str) -> Sequence[VendorJob]:
        """The jobs of an operation by every credential that is not out, the oldest first.

        Raises:
            ProviderBusy: one of them cannot be asked now.
            ProviderOut: no credential is left.
        """
        found: dict[str, tuple[str, VendorJob]] = {}
        for credential in self._speech.usable():
            try:
                async for job in self._listed(credential, operation):
                    mine = VendorJob(id=job.id, credential=credential.name)
                    found.setdefault(job.id, (job.created, mine))
            except ProviderOut:
                continue  # it has been said loudly; what it made, nobody can use any more
        if not self._speech.usable():
            raise ProviderOut(f"{PROVIDER} has no credential that could be used")
        return [job for _, job in sorted(found.values(), key=lambda each: each[0])]

    async def submit(
        self,
        operation: str,
        audio_url: str,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,
    ) -> VendorJob:
        """Submit what `find` did not find.

        Raises:
            ProviderBusy: also when the answer cannot be read, for the job may be there, and when
                the credential was refused and another one is left.
        """
        credential = self._speech.first()
        body = submission(
            operation,
            audio_url,
            facts,
            locales=locales(languages, self._options.locales),
            speakers=self._options.speakers if diarization else 0,
        )
        try:
            answer = await self._call(
                credential, "POST", "/transcriptions:submit", About.RESOURCE, body=body
            )
        except ProviderOut as failure:
            if self._speech.usable():
                raise ProviderBusy(failure.message, code="credential_out") from failure
            raise
        return VendorJob(id=_read(Made, answer).id, credential=credential.name)

    async def state(self, job: VendorJob) -> BatchState:
        """How far a job is.

        Raises:
            ProviderFailure: by the code of its error; ``not_at_vendor`` when it is not there.
        """
        credential = self._speech.named(job.credential)
        answer = await self._call(credential, "GET", _path(job), About.JOB)
        seen = _read(Job, answer)
        if seen.status == FAILED:
            raise of_error(seen.properties.error.code if seen.properties.error else None)
        if seen.status not in PHASES:
            raise ProviderBusy(f"{PROVIDER} shows a job in a state that is none", code=UNREADABLE)
        pause = failures.retry_after(answer.headers)
        return BatchState(phase=PHASES[seen.status], retry_after=pause)

    async def results(
        self, job: VendorJob, facts: AudioFacts, *, languages: Sequence[str]
    ) -> TranscriptPart:
        """What a job that is done has heard, over the whole audio.

        Raises:
            NoSpeech: nothing.
            ProviderFailure: by the kind of the error, when the report says that the file failed.
        """
        credential = self._speech.named(job.credential)
        found: dict[str, list[str]] = {}
        async for page in self._pages(credential, f"{_path(job)}/files", Files, About.JOB):
            for file in page.values:
                found.setdefault(file.kind, []).append(file.links.content)
        for url in found.get("TranscriptionReport", ()):
            report = _read(Report, await self._fetch(credential, url))
            if report.failed:
                failed = (each.kind for each in report.details if each.status == FAILED)
                raise of_error(next(failed, None))
        texts = [
            _read(BatchAnswer, await self._fetch(credential, url))
            for url in found.get("Transcription", ())
        ]
        if not texts:
            raise ProviderBroken(f"{PROVIDER} finished a job without a result")
        part = part_of_batch(texts, facts.seconds, locales(languages, self._options.locales))
        if not part.utterances:
            raise NoSpeech(f"{PROVIDER} heard no speech")
        return part

    async def delete(self, job: VendorJob) -> None:
        """Remove a job and its results from the vendor, finished or not; again is no error."""
        credential = self._speech.named(job.credential)
        try:
            await self._call(credential, "DELETE", _path(job), About.JOB)
        except ProviderBroken as failure:
            if failure.code != GONE:
                raise

    async def _listed(self, credential: SpeechCredential, operation: str) -> AsyncIterator[Job]:
        """The jobs of that name; whatever else the vendor may list is nobody's we know."""
        condition = "displayName eq '{}'".format(operation.replace("'", "''"))
        path = f"/transcriptions?filter={quote(condition, safe='')}"
        async for page in self._pages(credential, path, Jobs, About.RESOURCE):
            for job in page.values:
                if job.name == operation:
                    yield job

    async def _pages(
        self, credential: SpeechCredential, path: str, shape: type[Pages], about: About
    ) -> AsyncIterator[Pages]:
        for _ in range(MOST_PAGES):
            page = _read(shape, await self._call(credential, "GET", path, about))
            yield page
            if not page.next:
                return
            path = page.next
        raise ProviderBroken(f"{PROVIDER}'s list does not end")

    async def _fetch(self, credential: SpeechCredential, url: str) -> Answer:
        """A result, from the places where results are: the key goes to its own resource alone."""
        place = origin(url)
        if place is not None and place == origin(credential.endpoint):
            return await self._call(credential, "GET", url, About.JOB, max_bytes=MAX_RESULT_BYTES)
        theirs = place is not None and place.secure and place.host.endswith(RESULT_HOSTS)
        if place is None or not (theirs or place == origin(self._options.staging_url)):
            raise ProviderBroken(f"{PROVIDER} names a result at an address that is not its own")
        with _worth_asking_again():
            return await self._speech.fetch(url, max_bytes=MAX_RESULT_BYTES)

    async def _call(
        self,
        credential: SpeechCredential,
        method: str,
        path: str,
        about: About,
        *,
        body: Any = None,
        max_bytes: int | None = None,
    ) -> Answer:
        with _worth_asking_again():
            return await self._speech.call(
                credential,
                method,
                path,
                about=about,
                seconds=CALL_SECONDS if max_bytes is None else None,
                max_bytes=max_bytes or MAX_ANSWER_BYTES,
                headers={"content-type": "application/json"} if body is not None else None,
                content=json.dumps(body).encode() if body is not None else None,
            )


def _path(job: VendorJob) -> str:
    return f"/transcriptions/{job.id}"


@contextmanager
def _worth_asking_again() -> Iterator[None]:
    try:
        yield
    except ProviderBroken as failure:
        if failure.code != UNREADABLE:
            raise
        raise ProviderBusy(failure.message, code=UNREADABLE) from failure


def _read(shape: type[Shape], answer: Answer) -> Shape:
    try:
        return shape.model_validate_json(answer.body)
    except ValidationError as error:
        raise ProviderBusy(f"{PROVIDER}'s answer cannot be read", code=UNREADABLE) from error
