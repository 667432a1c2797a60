"""Mail we send: what is said, to whom it may go, and when it is tried again.

An external id names what is told; what is told under one id is told once.
"""

import re
from enum import StrEnum
from typing import Any, Final

from contracts.errors import InvalidInput
from contracts.profile import Profile
from contracts.values import Value
from contracts.webhooks import CreditsLowData

PAUSES: Final = (60.0, 300.0, 1800.0, 7200.0, 21600.0)
"""Seconds after each attempt in vain before the next one; then it has failed."""

MAX_ADDRESS: Final = 254
MAX_SUBJECT: Final = 200
MAX_BODY: Final = 20_000
MAX_EXTERNAL_ID: Final = 200

# ASCII alone, and no quoting: what else there is needs a server that says so.
_ADDRESS: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]")
_EXTERNAL_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,200}")


class NotificationKind(StrEnum):
    """What a mail is about."""

    CREDITS_LOW = "credits.low"
    TEST = "test"


class NotificationState(StrEnum):
    """How far a mail is.

    ``sending`` was taken up by somebody; ``logged`` is kept here and nowhere else, for no way out
    is set; ``uncertain`` may have been sent: its answer was lost, and it is not sent twice.
    """

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    LOGGED = "logged"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


class Mail(Value):
    """One mail.

    Attributes:
        external_id: what is told; the same id is told once.
        user_id: whom it is for, when that is a user.
    """

    external_id: str
    kind: NotificationKind
    recipient: str
    subject: str
    body: str
    user_id: str | None = None


class TakenUp(Value):
    """A mail that is due, or that somebody is about to send.

    Attributes:
        attempts: how often it was taken up.
        lost: somebody took it up, and nobody knows what came of it.
    """

    mail: Mail
    attempts: int = 0
    lost: bool = False


class Posted(Value):
    """How one attempt to send ended.

    Attributes:
        state: ``sent``, ``logged``, ``failed`` (final), ``uncertain``, or ``pending``: again later.
        code: of the failure.
        retry_after: seconds the other side wants to be left alone.
    """

    state: NotificationState
    code: str | None = None
    retry_after: float | None = None


def check_address(text: str) -> str:
    """A mail address, and nothing that could be more.

    Raises:
        ValueError: it is none; the message does not repeat it.
    """
    if len(text) > MAX_ADDRESS or not _ADDRESS.fullmatch(text):
        raise ValueError("it must be one mail address, like name@example.com")
    return text


def checked(mail: Mail) -> Mail:
    """The mail, when it can be one.

    Raises:
        InvalidInput: ``invalid_mail``: no address, or a line break or another control character
            where a header is made of it.
    """
    try:
        check_address(mail.recipient)
    except ValueError:
        raise InvalidInput("The recipient is no mail address", code="invalid_mail") from None
    if not _EXTERNAL_ID.fullmatch(mail.external_id):
        raise InvalidInput("The external id of a mail is malformed", code="invalid_mail")
    if not mail.subject or len(mail.subject) > MAX_SUBJECT or _CONTROLS.search(mail.subject):
        raise InvalidInput("The subject must be one line", code="invalid_mail")
    if len(mail.body) > MAX_BODY:
        raise InvalidInput("The mail is too long", code="invalid_mail")
    return mail


def pause_after(attempts: int, retry_after: float | None = None) -> float | None:
    """Seconds until the next attempt; none when there is none.

    Args:
        attempts: made so far.
        retry_after: what the other side asked for; the longer of the two counts, up to six hours.
    """
    if attempts > len(PAUSES):
        return None
    return max(PAUSES[attempts - 1], min(retry_after or 0.0, PAUSES[-1]))


def wants_mail(profile: Profile) -> bool:
    """Whether the user takes mail: ``app_settings.memoro.emailNotifications`` is not false."""
    kept: Any = profile.app_settings.get("memoro")
    return not (isinstance(kept, dict) and kept.get("emailNotifications") is False)


def credits_low_mail(subject: str, profile: Profile | None, low: CreditsLowData) -> Mail | None:
    """What a user is told when the balance fell below; none when we may not, or do not know where.

    Args:
        subject: key of the charge.
    """
    if profile is None or profile.email is None or not wants_mail(profile):
        return None
    mail = Mail(
        external_id=f"{NotificationKind.CREDITS_LOW}:{subject}"[:MAX_EXTERNAL_ID],
        kind=NotificationKind.CREDITS_LOW,
        recipient=profile.email,
        subject="Your credits are running low",
        body=f"You have {low.credits} credits left.\n\n"
        "New recordings cannot be transcribed when they are used up.\n"
        "To stop these mails switch off e-mail notifications in the settings.\n",
        user_id=profile.user_id,
    )
    try:
        return checked(mail)
    except InvalidInput:
        return None  # an address somebody wrote that is none
