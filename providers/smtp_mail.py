"""Mail by an SMTP server.

SMTP knows no key by which a mail that comes twice is sent once (a ``Message-ID`` is a hint). What
is known not to have been taken is sent again: everything up to the end of the text, and a refusal
of it. When the connection is lost after that the server may have taken it: ``uncertain``.
"""

import asyncio
import hashlib
import ssl
from email.message import EmailMessage
from email.policy import SMTP as FOR_SMTP
from email.utils import format_datetime, localtime
from enum import StrEnum
from typing import Final

import aiosmtplib
from pydantic import SecretStr

from contracts.errors import InvalidInput
from contracts.notifications import Mail, NotificationState, Posted, check_address, checked
from contracts.values import Value

_FINAL_FROM: Final = 500
"""Answers from here on are final (RFC 5321, 4.2.1); those below 500 may change."""


class SmtpTls(StrEnum):
    """How the connection is sealed."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class SmtpSetup(Value):
    """A mail server and how it is spoken to.

    Attributes:
        sender: address our mail comes from.
        seconds: bound of sending one mail, connecting included.
    """

    host: str
    port: int
    sender: str
    tls: SmtpTls = SmtpTls.STARTTLS
    username: str | None = None
    password: SecretStr | None = None
    seconds: float = 20.0


class SmtpMail:
    """One connection per mail: there are few.

    Args:
        trust: certificates that are believed; those of the system, unless a test brings its own.
    """

    deduplicates: Final = False

    def __init__(self, setup: SmtpSetup, trust: ssl.SSLContext | None = None) -> None:
        self._setup = setup
        self._trust = trust

    async def send(self, mail: Mail) -> Posted:
        """Send it, unless it is none."""
        try:
            text = message(mail, self._setup.sender).as_bytes()
        except InvalidInput as refusal:
            return Posted(state=NotificationState.FAILED, code=refusal.code)
        handing_over = asyncio.Event()
        try:
            async with asyncio.timeout(self._setup.seconds):
                await self._converse(mail.recipient, text, handing_over)
        except aiosmtplib.SMTPResponseException as refusal:
            final = refusal.code >= _FINAL_FROM and not isinstance(
                refusal, aiosmtplib.SMTPAuthenticationError
            )
            state = NotificationState.FAILED if final else NotificationState.PENDING
            return Posted(state=state, code=f"smtp_{refusal.code}")
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            if handing_over.is_set():
                return Posted(state=NotificationState.UNCERTAIN, code="answer_lost")
            return Posted(state=NotificationState.PENDING, code=_code(error))
        return Posted(state=NotificationState.SENT)

    async def _converse(self, recipient: str, text: bytes, handing_over: asyncio.Event) -> None:
        setup = self._setup
        client = aiosmtplib.SMTP(
            hostname=setup.host,
            port=setup.port,
            timeout=setup.seconds,
            use_tls=setup.tls is SmtpTls.IMPLICIT,
            # Asked for it is demanded: a server that cannot is not spoken to.
            start_tls=setup.tls is SmtpTls.STARTTLS,
            tls_context=self._trust,
        )
        try:
            await client.connect()
            if setup.username is not None:
                password = setup.password.get_secret_value() if setup.password else ""
                await client.login(setup.username, password)
            await client.mail(setup.sender)
            await client.rcpt(recipient)
            handing_over.set()
            await client.data(text)
        finally:
            # No good-bye: it could fail, and the mail has been taken or has not.
            client.close()


def message(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it goes out; the same ``Message-ID`` whenever it does.

    Raises:
        InvalidInput: ``invalid_mail``: what would become a header holds more than one line.
    """
    checked(mail)
    made = EmailMessage(policy=FOR_SMTP)
    made["From"] = check_address(sender)
    made["To"] = mail.recipient
    made["Subject"] = mail.subject
    made["Date"] = format_datetime(localtime())
    name = hashlib.sha256(mail.external_id.encode()).hexdigest()[:32]
    made["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.body)
    return made


def _code(error: Exception) -> str:
    if isinstance(error, TimeoutError | aiosmtplib.SMTPTimeoutError):
        return "timed_out"
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return "certificate_invalid"
    return "smtp_unreachable"
