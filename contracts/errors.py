"""One failure tree. The class says whether a failure is final; ``api/errors.py`` maps it to HTTP.

::

    Failure
    ├── Rejected               final: asking again with the same input cannot help
    │   ├── InvalidInput       the request or its body is wrong
    │   ├── Unauthenticated    no token, or one that does not verify
    │   ├── Forbidden          known, and not allowed
    │   ├── NotFound           absent, or somebody else's: told apart by nobody
    │   ├── Conflict           the state does not allow it now
    │   │   ├── KeyReused      an Idempotency-Key that came before with another request
    │   │   └── Locked         somebody else is at work on it
    │   ├── PreconditionFailed another version of a protocol
    │   ├── ChecksumMismatch   other bytes came than were meant
    │   ├── InsufficientCredits
    │   ├── TooLarge
    │   ├── UnsupportedMedia   not a media type that is taken
    │   ├── TooManyRequests
    │   └── MediaRejected      accepted by its first bytes, found unfit when looked into
    ├── NotThereYet            the audio is still on its way
    ├── Unavailable            a dependency is away: the same call may succeed later
    │   ├── Unreachable        a stranger's server is, at an address somebody gave us
    │   └── AnswerLost         it was asked, and whether it did it is not known
    └── ProviderFailure        a transcription or language tier could not serve
        ├── ProviderBusy       the same tier again, after ``retry_after``
        ├── ProviderOut        this credential or configuration is no good: next tier, loudly
        ├── FormatNotTaken     convert, then again
        ├── TooLongForProvider a tier that takes longer audio
        ├── NoSpeech           the tier says nothing was said
        └── ProviderBroken     the answer made no sense: next tier

Messages are shown to users and stand in logs and workflow histories: they never hold spoken words,
secrets, tokens or signed URLs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from contracts.costs import Units


class Failure(Exception):
    """Something did not work; ``code`` is the stable name of what.

    Args:
        message: one sentence for a person.
        code: snake_case name for programs; the class has a default.
        extra: further fields of an HTTP error body.
        retry_after: seconds to wait before the same call can succeed, when known.
    """

    code: str = "failed"
    final: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        extra: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.extra = dict(extra or {})
        self.retry_after = retry_after


class Rejected(Failure):
    """The same input can never succeed."""

    code = "rejected"
    final = True


class InvalidInput(Rejected):
    """A request, a field or a file name that is not of the form asked for."""

    code = "validation_failed"


class Unauthenticated(Rejected):
    """No credential, or one that does not verify."""

    code = "unauthorized"


class Forbidden(Rejected):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotFound(Rejected):
    """Absent, or another tenant's: the answer is the same."""

    code = "not_found"

    def __init__(self, message: str = "Not found", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)


class Conflict(Rejected):
    """The thing is in a state that does not allow this."""

    code = "conflict"


class KeyReused(Conflict):
    """The Idempotency-Key was used before, for another request."""

    code = "idempotency_key_reused"


class Locked(Conflict):
    """Somebody else is at work on the very thing; a moment later it may be free."""

    code = "locked"


class PreconditionFailed(Rejected):
    """The client speaks another version of a protocol."""

    code = "unsupported_version"


class ChecksumMismatch(Rejected):
    """The bytes that came are not those the client meant to send; none of them is kept."""

    code = "checksum_mismatch"


class InsufficientCredits(Rejected):
    """Fewer credits are free than the operation needs.

    Args:
        required: credits the operation needs.
        available: credits that are neither spent nor held.
    """

    code = "insufficient_credits"

    def __init__(self, required: int, available: int) -> None:
        super().__init__(
            f"Insufficient credits: {required} required, {available} available",
            extra={"requiredCredits": required, "availableCredits": available},
        )
        self.required = required
        self.available = available


class TooLarge(Rejected):
    """More bytes than the setting allows."""

    code = "too_large"


class UnsupportedMedia(Rejected):
    """The first bytes are not those of an audio container that is taken."""

    code = "unsupported_media_type"


class TooManyRequests(Rejected):
    """The principal's rate, number of jobs or uploads, or day's budget is used up."""

    code = "rate_limited"


class MediaRejected(Rejected):
    """The container opens, and what is in it cannot be transcribed.

    Codes: ``audio_not_supported``, ``audio_too_long``, ``audio_not_found``, ``audio_corrupt``; of
    media by URL ``media_not_found``, ``media_unavailable``, ``media_fetch_failed``.
    """

    code = "audio_not_supported"


class NotThereYet(Failure):
    """The audio is not in storage yet; it is waited for as long as the setting says."""

    code = "audio_not_found"


class Unavailable(Failure):
    """A dependency (database, Temporal, storage, ledger, key set) does not answer now."""

    code = "unavailable"


class AnswerLost(Unavailable):
    """A dependency was asked to change something, and did or did not: no answer tells which."""

    code = "answer_lost"


class Unreachable(Unavailable):
    """A stranger's server, at an address somebody gave us, does not answer, or not in full.

    Codes: ``name_not_resolved``, ``connection_failed``, ``certificate_invalid``, ``timed_out``,
    ``answer_cut_off``.
    """

    code = "connection_failed"


class ProviderFailure(Failure):
    """A tier could not serve; its class decides what comes next.

    Attributes:
        lost: no answer came to a request that may have been worked on, and is paid for then.
        units: what the vendor says it took for an answer that was of no use.
    """

    code = "provider_failed"
    final = True
    lost: bool = False
    units: "Units | None" = None


class ProviderBusy(ProviderFailure):
    """Overloaded, throttled, timed out or unreachable: the same tier may serve later."""

    code = "provider_busy"
    final = False


class ProviderOut(ProviderFailure):
    """Wrong key, wrong address, engine not installed: nothing but an operator mends it."""

    code = "provider_out"


class FormatNotTaken(ProviderFailure):
    """The provider does not read this container or codec."""

    code = "format_not_taken"


class TooLongForProvider(ProviderFailure):
    """More seconds or bytes than the provider takes."""

    code = "too_long_for_provider"


class NoSpeech(ProviderFailure):
    """The provider heard no speech."""

    code = "no_speech"


class ProviderBroken(ProviderFailure):
    """An answer that is empty, cut off or of another shape than documented."""

    code = "provider_broken"
