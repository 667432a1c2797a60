"""A real SMTP server (aiosmtpd) on a real socket, that keeps what comes.

python -m tests.fakes.mail_server --port 2525
"""

import argparse
import asyncio
import json
import ssl
import sys
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope


class MailServer:
    """The server.

    Args:
        tls: its certificate; STARTTLS is offered with one.
        implicit: TLS from the first byte instead.
        password: of the user ``voicekeep``, who alone may send then.

    Attributes:
        received: what came.
        refusals: answers to the next mails by the command that gets them: ``RCPT`` or ``DATA``.
        hang: say nothing to the end of a mail's text.
        cut: hang up instead of answering to it; the mail is kept.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        password: str | None = None,
    ) -> None:
        self._tls = tls
        self._implicit = implicit
        self._password = password
        self._server: asyncio.Server | None = None
        self.received: list[EmailMessage] = []
        self.refusals: list[tuple[str, str]] = []
        self.hang = False
        self.cut = False
        self.host = "127.0.0.1"
        self.port = 0

    async def start(self, port: int = 0) -> None:
        loop = asyncio.get_running_loop()
        context = self._tls if self._implicit else None
        self._server = await loop.create_server(self._make, self.host, port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def aclose(self) -> None:
        assert self._server is not None
        self._server.close()

    def _make(self) -> SMTP:
        options: dict[str, Any] = {"hostname": "mail.test"}
        if self._tls is not None and not self._implicit:
            options |= {"tls_context": self._tls, "require_starttls": True}
        if self._password is not None:
            options |= {"authenticator": self._sign_in, "auth_required": True}
            options |= {"auth_require_tls": not self._implicit and self._tls is not None}
        return SMTP(self, **options)

    def _sign_in(self, _server: Any, _session: Any, _envelope: Any, _how: str, given: Any) -> Any:
        right = (given.login, given.password) == (b"voicekeep", str(self._password).encode())
        return AuthResult(success=right, handled=False)

    def _refusal(self, command: str) -> str | None:
        if self.refusals and self.refusals[0][0] == command:
            return self.refusals.pop(0)[1]
        return None

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for this name
        self, _server: SMTP, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if (refusal := self._refusal("RCPT")) is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, _session: Any, envelope: Envelope
    ) -> str:
        if (refusal := self._refusal("DATA")) is not None:
            return refusal
        assert isinstance(envelope.content, bytes)
        found = message_from_bytes(envelope.content, policy=default)
        assert isinstance(found, EmailMessage)
        found["X-Envelope-To"] = ",".join(envelope.rcpt_tos)
        self.received.append(found)
        if self.hang:
            await asyncio.Event().wait()
        if self.cut:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return "250 OK"


async def serve(port: int) -> None:
    """Say where it is and serve until cancelled."""
    server = MailServer()
    await server.start(port)
    ready = {"event": "ready", "url": f"smtp://{server.host}:{server.port}"}
    print(json.dumps(ready), flush=True)  # noqa: T201 - how it says where it is
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A mail server that keeps what comes")
    parser.add_argument("--port", type=int, default=0)
    try:
        asyncio.run(serve(parser.parse_args().port))
    except KeyboardInterrupt:
        sys.exit(130)
