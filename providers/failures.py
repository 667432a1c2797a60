"""What an answer of a vendor means for us: one table, and how long to wait."""

import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, TypeGuard

from contracts import retry_after as retry_after_header
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)

MEANING: Final[Mapping[int, type[ProviderFailure]]] = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: FormatNotTaken,
        HTTPStatus.UNAUTHORIZED: ProviderOut,
        HTTPStatus.PAYMENT_REQUIRED: ProviderOut,
        HTTPStatus.FORBIDDEN: ProviderOut,
        HTTPStatus.NOT_FOUND: ProviderOut,
        HTTPStatus.REQUEST_TIMEOUT: ProviderBusy,
        HTTPStatus.CONFLICT: ProviderBusy,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLongForProvider,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: FormatNotTaken,
        HTTPStatus.UNPROCESSABLE_ENTITY: FormatNotTaken,
        HTTPStatus.TOO_EARLY: ProviderBusy,
        HTTPStatus.TOO_MANY_REQUESTS: ProviderBusy,
    }
)
"""Statuses below 500; from 500 on a vendor is busy, and any other status makes no sense."""

MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What a vendor's SDK raises somewhere inside it when an answer is of another shape."""

NO_MONEY: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
"""OpenAI's codes that come with a 429 and do not go away by waiting."""

_NOT_CONNECTED: Final = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})

_DELAY: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def of_status(
    provider: str,
    status: int,
    *,
    code: object = None,
    headers: Mapping[str, str] | None = None,
    kind: type[ProviderFailure] | None = None,
) -> ProviderFailure:
    """The failure an HTTP status stands for.

    Args:
        provider: name for the message.
        code: the vendor's own code; shown when it looks like one. The vendor's sentence is not:
            it can hold a piece of the key, or spoken words.
        headers: for ``Retry-After``; names in lower case or a mapping that does not mind.
        kind: what the vendor's own code says it is, when that says more than the status.
    """
    if kind is None:
        busy = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        kind = ProviderBusy if busy else MEANING.get(status, ProviderBroken)
    named = f" ({code})" if is_code(code) else ""
    message = f"{provider} answered {status}{named}"
    return kind(message, retry_after=retry_after(headers or {}))


def is_code(code: object) -> TypeGuard[str]:
    """Whether a vendor's code looks like one, so that it can be shown."""
    return isinstance(code, str) and bool(_CODE.fullmatch(code))


def codes_of(body: bytes) -> tuple[str, ...]:
    """The codes in an error body, the innermost, which says most, first; none in any other body.

    Both ``{"code", "innerError": {"code"}}`` and the same below ``error`` are read.
    """
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    codes: list[str] = []
    while isinstance(found, dict):
        if is_code(code := found.get("code")):
            codes.insert(0, code)
        inner = (found.get(name) for name in ("innerError", "innererror", "error"))
        found = next((each for each in inner if isinstance(each, dict)), None)
    return tuple(codes)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by ``Retry-After``, given in seconds or as a date (RFC 9110, 10.2.3).

    Args:
        now: seconds since 1970, for dates.

    Returns:
        None when the header is missing or makes no sense; never negative.
    """
    return retry_after_header.retry_after(headers, now)


def retry_delay(body: object) -> float | None:
    """Seconds to wait by the ``RetryInfo`` among a Google error's details, ``"12.5s"``.

    Returns:
        None when there is none that makes sense.
    """
    try:
        details = body["error"]["details"]  # type: ignore[index]  # whatever the vendor sent
        delays = [each["retryDelay"] for each in details if "retryDelay" in each]
        return float(_DELAY.fullmatch(delays[0])[1])  # type: ignore[index]  # likewise
    except MALFORMED:
        return None


def unreachable(provider: str, error: BaseException | None = None) -> ProviderBusy:
    """No answer: the connection failed or was cut.

    Args:
        error: what happened; without a connection nothing was sent, and nothing is paid.
    """
    failure = ProviderBusy(f"{provider} cannot be reached")
    failure.lost = not _never_connected(error)
    return failure


def timed_out(provider: str, seconds: float, error: BaseException | None = None) -> ProviderBusy:
    """No answer in time; ``error`` as above."""
    failure = ProviderBusy(f"{provider} did not answer within {seconds:.0f} s")
    failure.lost = not _never_connected(error)
    return failure


def _never_connected(error: BaseException | None) -> bool:
    """By the names that the libraries of all vendors have for it."""
    while error is not None:
        if type(error).__name__ in _NOT_CONNECTED:
            return True
        error = error.__cause__
    return False


def unreadable(provider: str) -> ProviderBroken:
    """An answer of another shape than documented."""
    return ProviderBroken(f"{provider}'s answer cannot be read", code="answer_malformed")


def not_about_audio(failure: ProviderFailure) -> ProviderFailure:
    """The same for a call that sends no audio: there is nothing to convert or to cut then."""
    if isinstance(failure, (FormatNotTaken, TooLongForProvider, NoSpeech)):
        return ProviderBroken(failure.message)
    return failure


def unusable(provider: str, what: str) -> ProviderBroken:
    """A model's answer that is there and of no use.

    Args:
        what: ``empty``, ``truncated``, ``blocked`` or ``refused``.
    """
    return ProviderBroken(f"{provider}'s answer is {what}", code=f"answer_{what}")
