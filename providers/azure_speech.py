"""Azure's speech resources: which credential is used, and one place that calls them.

What a refusal means follows Microsoft's page on fast transcription and the reference of the speech
to text REST API: error bodies are ``{"code", "message", "innerError": {…}}``, and a gateway before
them may answer ``{"error": {…}}``.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, NamedTuple

import structlog

from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from providers import failures
from providers.vendor_http import CONNECT_SECONDS, Answer, VendorHttp, origin

PROVIDER: Final = "azure"
OUT_SECONDS: Final = 600.0
"""A credential that was refused is asked again after so long: somebody may have mended it."""
LONGEST_REST: Final = 300.0
"""A longer ``Retry-After`` is cut to this."""
CONTAINERS: Final = frozenset({"wav", "mp3", "ogg", "flac", "asf", "aac", "amr", "matroska"})
"""What the service reads as it is; an M4A has to be converted."""

CODES: Final[Mapping[str, type[ProviderFailure]]] = MappingProxyType(
    {
        "InvalidAudioFormat": FormatNotTaken,
        "BadChannelConfiguration": FormatNotTaken,
        "AudioLengthLimitExceeded": TooLongForProvider,
        "EmptyAudioFile": NoSpeech,
        "NoLanguageIdentified": NoSpeech,
        "InvalidSubscription": ProviderOut,
        "QuotaViolation": ProviderBusy,
    }
)
_REFINED: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY})
"""Statuses that say less than the code beside them."""
GONE: Final = "not_at_vendor"
"""Code of a 404 for one thing in a resource."""
_VAGUE: Final = frozenset(
    {
        "BadRequest",
        "InvalidArgument",
        "InvalidRequest",
        "UnprocessableContent",
        "UnprocessableEntity",
    }
)
"""Codes that say no more than their status."""

log = structlog.get_logger(__name__)


class About(Enum):
    """What a refusal of a call is about."""

    AUDIO = "the audio that is sent, or the resource"
    RESOURCE = "the resource"
    JOB = "one job in the resource, or the resource"


@dataclass(frozen=True)
class SpeechCredential:
    """One key of one speech resource.

    Attributes:
        name: what it is called in logs and in rows; never the key.
        region: of the resource; another region stays up when this one is overloaded.
        endpoint: address of the resource without a slash at its end.
    """

    name: str
    region: str
    endpoint: str
    key: str = field(repr=False)


class _Pause(NamedTuple):
    """Why a credential is not used, and until when on the clock."""

    until: float
    failure: ProviderFailure


class AzureSpeech:
    """The configured credentials, each behind a circuit of its own.

    A refused credential (401, 402, 403, 404, or a subscription that is none) is out, loudly; one
    that was told to wait rests that long. Both without a call.

    Args:
        credentials: in the order of preference; at least one.
        api_version: of the speech to text REST API.
        timeout: seconds one call may take.
        connect_seconds: how long a connection may take to open.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        credentials: Sequence[SpeechCredential],
        *,
        api_version: str,
        timeout: float,
        connect_seconds: float = CONNECT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._credentials = tuple(credentials)
        self._api_version = api_version
        self.timeout = timeout
        self._clock = clock
        self._http = VendorHttp(PROVIDER, connect_seconds=connect_seconds)
        self._out: dict[str, _Pause] = {}
        self._resting: dict[str, _Pause] = {}

    @property
    def regions(self) -> frozenset[str]:
        """Regions of all credentials: a tier in another region needs two."""
        return frozenset(each.region for each in self._credentials)

    def first(self) -> SpeechCredential:
        """The first credential that is not out.

        Raises:
            ProviderOut: all are.
            ProviderBusy: it rests.
        """
        return self._awake(self.usable())

    def other_region(self) -> SpeechCredential:
        """The next one that is not out, and in another region than the first.

        Raises:
            ProviderOut: there is none.
            ProviderBusy: it rests.
        """
        usable = self.usable()
        return self._awake([each for each in usable if each.region != usable[0].region])

    def usable(self) -> Sequence[SpeechCredential]:
        """Every credential that is not out, in their order."""
        return [each for each in self._credentials if not self._pause(self._out, each)]

    def named(self, name: str) -> SpeechCredential:
        """The credential of that name, out or not: what it made, only it can see.

        Raises:
            ProviderOut: it is not configured any more.
        """
        for each in self._credentials:
            if each.name == name:
                return each
        raise ProviderOut(f"{PROVIDER} has no credential {name} any more")

    async def call(
        self,
        credential: SpeechCredential,
        method: str,
        path: str,
        *,
        about: About,
        max_bytes: int,
        seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> Answer:
        """Call the resource of a credential.

        Args:
            path: below ``/speechtotext``, or a whole address the resource gave.
            seconds: bound of the call, when it is less than that of all calls.

        Raises:
            ProviderFailure: by the tables above and of ``providers.failures``; ``not_at_vendor``
                for a job that is not there.
        """
        answer = await self._http.call(
            method,
            self._address(credential, path),
            seconds=min(seconds or self.timeout, self.timeout),
            max_bytes=max_bytes,
            headers=dict(headers or {}) | {"ocp-apim-subscription-key": credential.key},
            content=content,
        )
        if not answer.refused:
            return answer
        failure = refusal(answer, about)
        self.remember(credential, failure)
        raise failure

    async def fetch(self, url: str, *, max_bytes: int) -> Answer:
        """Read an address that is no part of a resource: without any key.

        Raises:
            ProviderFailure: by the tables above and of ``providers.failures``.
        """
        answer = await self._http.call("GET", url, seconds=self.timeout, max_bytes=max_bytes)
        if not answer.refused:
            return answer
        failure = refusal(answer, About.JOB)
        if isinstance(failure, ProviderOut):  # the address is no good any more, not a credential
            raise ProviderBroken(failure.message, code=GONE)
        raise failure

    def remember(self, credential: SpeechCredential, failure: ProviderFailure) -> None:
        """Take a refused credential out, loudly; let one rest that was told how long to wait."""
        if isinstance(failure, ProviderOut):
            self._out[credential.name] = _Pause(self._clock() + OUT_SECONDS, failure)
            log.error(
                "azure.credential_out",
                resource=credential.name,
                region=credential.region,
                reason=failure.message,
                seconds=OUT_SECONDS,
            )
        elif isinstance(failure, ProviderBusy) and failure.retry_after:
            rest = min(failure.retry_after, LONGEST_REST)
            self._resting[credential.name] = _Pause(self._clock() + rest, failure)

    async def aclose(self) -> None:
        """Close the connections; safe to call twice."""
        await self._http.aclose()

    def _address(self, credential: SpeechCredential, path: str) -> str:
        if path.startswith("/"):
            mark = "&" if "?" in path else "?"
            url = f"{credential.endpoint}/speechtotext{path}"
            return f"{url}{mark}api-version={self._api_version}"
        if origin(path) != origin(credential.endpoint):
            raise ProviderBroken(f"{PROVIDER} names an address that is not its own")
        return path

    def _awake(self, some: Sequence[SpeechCredential]) -> SpeechCredential:
        """The first of some, when it does not rest."""
        if not some:
            raise ProviderOut(f"{PROVIDER} has no credential that could be used")
        if pause := self._pause(self._resting, some[0]):
            raise ProviderBusy(str(pause.failure), retry_after=pause.until - self._clock())
        return some[0]

    def _pause(self, pauses: Mapping[str, _Pause], credential: SpeechCredential) -> _Pause | None:
        pause = pauses.get(credential.name)
        return pause if pause is not None and self._clock() < pause.until else None


def refusal(answer: Answer, about: About) -> ProviderFailure:
    """What an answer that is no success means."""
    codes = failures.codes_of(answer.body)
    failure = failures.of_status(
        PROVIDER,
        answer.status,
        code=codes[0] if codes else None,
        headers=answer.headers,
        kind=_kind(codes) if answer.status in _REFINED else None,
    )
    if answer.status == HTTPStatus.NOT_FOUND and about is About.JOB:
        return ProviderBroken(failure.message, code=GONE)
    return failure if about is About.AUDIO else failures.not_about_audio(failure)


def of_error(code: str | None) -> ProviderFailure:
    """What an error inside a successful answer means: a job that failed, a file that did."""
    kind = _kind((code,)) if code else None
    named = f" ({code})" if failures.is_code(code) else ""
    return (kind or ProviderBroken)(f"{PROVIDER} could not transcribe the audio{named}")


def _kind(codes: Sequence[str]) -> type[ProviderFailure] | None:
    """The failure that codes name; none when they say no more than a status does."""
    known = next((CODES[code] for code in codes if code in CODES), None)
    if known is None and codes and codes[0] not in _VAGUE:
        return ProviderBroken
    return known
