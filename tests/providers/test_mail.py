"""Mail by real sockets: an SMTP server, a notification service, and what each loss comes to."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from contracts.errors import InvalidInput
from contracts.notifications import (
    Mail,
    NotificationKind,
    NotificationState,
    Posted,
    checked,
    pause_after,
)
from providers.mail_log import MailLog
from providers.mana_notify import ManaNotify
from providers.smtp_mail import SmtpMail, SmtpSetup, SmtpTls, message
from tests.certificates import Authority
from tests.fakes.mail_server import MailServer
from tests.fakes.notify import FakeNotify

KEY = "service-key-of-a-test"
MAIL = Mail(
    external_id="credits.low:memo-1:settle",
    kind=NotificationKind.CREDITS_LOW,
    recipient="anna@example.com",
    subject="Ihr Guthaben geht zu Ende: übrig",
    body="Noch 12 Credits.\n.\nEin Punkt allein beendet keine Mail.\n",
)
SENT = Posted(state=NotificationState.SENT)
UNCERTAIN = Posted(state=NotificationState.UNCERTAIN, code="answer_lost")


@asynccontextmanager
async def server(**options: Any) -> AsyncIterator[MailServer]:
    made = MailServer(**options)
    await made.start()
    try:
        yield made
    finally:
        await made.aclose()


def client(to: MailServer, trust: Any = None, **fields: Any) -> SmtpMail:
    given = {"tls": SmtpTls.NONE, "seconds": 5.0, "sender": "voice@keep.test"} | fields
    return SmtpMail(SmtpSetup(host="localhost", port=to.port, **given), trust)


@pytest.mark.parametrize("tls", SmtpTls)
async def test_a_mail_arrives_as_it_was_written(tls: SmtpTls, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate = None if tls is SmtpTls.NONE else authority.server("localhost")
    async with server(tls=certificate, implicit=tls is SmtpTls.IMPLICIT) as there:
        way = client(there, authority.trust(), tls=tls)
        assert await way.send(MAIL) == SENT
        assert await way.send(MAIL) == SENT
    first, second = there.received
    assert (first["From"], first["To"]) == ("voice@keep.test", MAIL.recipient)
    assert (first["Subject"], first["X-Envelope-To"]) == (MAIL.subject, MAIL.recipient)
    assert first.get_content().replace("\r\n", "\n") == MAIL.body
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Message-ID"].endswith("@keep.test>")


async def test_a_server_that_cannot_seal_the_connection_is_told_nothing() -> None:
    async with server() as there:
        posted = await client(there, tls=SmtpTls.STARTTLS).send(MAIL)
    assert posted.state is NotificationState.PENDING
    assert there.received == []


async def test_a_certificate_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    async with server(tls=Authority(tmp_path).server("localhost")) as there:
        posted = await client(there, tls=SmtpTls.STARTTLS).send(MAIL)
    assert posted == Posted(state=NotificationState.PENDING, code="certificate_invalid")
    assert there.received == []


@pytest.mark.parametrize(("password", "right"), [("secret", True), ("wrong", False)])
async def test_who_signs_in_may_send(password: str, right: bool, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with server(tls=authority.server("localhost"), password="secret") as there:
        way = client(
            there,
            authority.trust(),
            tls=SmtpTls.STARTTLS,
            username="voicekeep",
            password=SecretStr(password),
        )
        posted = await way.send(MAIL)
    again = Posted(state=NotificationState.PENDING, code="smtp_535")
    assert posted == (SENT if right else again)
    assert len(there.received) == right


@pytest.mark.parametrize(
    ("command", "answer", "state"),
    [
        ("RCPT", "450 mailbox busy", NotificationState.PENDING),
        ("RCPT", "550 no such user", NotificationState.FAILED),
        ("DATA", "451 try later", NotificationState.PENDING),
        ("DATA", "554 no", NotificationState.FAILED),
    ],
)
async def test_a_refusal_says_whether_it_is_final(
    command: str, answer: str, state: NotificationState
) -> None:
    async with server() as there:
        there.refusals.append((command, answer))
        posted = await client(there).send(MAIL)
    assert posted == Posted(state=state, code=f"smtp_{answer[:3]}")
    assert there.received == []


@pytest.mark.parametrize("loss", ["hang", "cut"])
async def test_a_mail_whose_answer_is_lost_is_uncertain(loss: str) -> None:
    async with server() as there:
        setattr(there, loss, True)
        assert await client(there, seconds=1.0).send(MAIL) == UNCERTAIN
    assert len(there.received) == 1


async def test_a_server_that_is_away_or_mute_is_tried_again() -> None:
    mute = socket.create_server(("127.0.0.1", 0))
    there = MailServer()
    there.port = mute.getsockname()[1]
    late = Posted(state=NotificationState.PENDING, code="timed_out")
    assert await client(there, seconds=0.3).send(MAIL) == late
    mute.close()
    away = Posted(state=NotificationState.PENDING, code="smtp_unreachable")
    assert await client(there).send(MAIL) == away


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hello\r\nBcc: eve@example.com"},
        {"subject": "Hello\nBcc: eve@example.com"},
        {"subject": "Hello\rX: y"},
        {"subject": "Hello\u2028X: y"},
        {"subject": ""},
        {"recipient": "anna@example.com\r\nBcc: eve@example.com"},
        {"recipient": "anna@example.com\n"},
        {"recipient": "anna@example.com,eve@example.com"},
        {"recipient": "Anna <anna@example.com>"},
        {"recipient": "anna@example.com> SIZE=1"},
        {"recipient": "anna"},
        {"recipient": "a" * 250 + "@example.com"},
        {"external_id": "a\r\nb"},
        {"body": "x" * 20_001},
    ],
)
async def test_nothing_of_a_mail_becomes_a_header_or_a_command(changes: dict[str, str]) -> None:
    bad = MAIL.model_copy(update=changes)
    with pytest.raises(InvalidInput):
        checked(bad)
    with pytest.raises(InvalidInput):
        message(bad, "voice@keep.test")
    async with server() as there:
        posted = await client(there).send(bad)
    assert posted == Posted(state=NotificationState.FAILED, code="invalid_mail")
    assert there.received == []


@pytest.fixture
async def service() -> AsyncIterator[FakeNotify]:
    made = FakeNotify(KEY)
    await made.wire.start()
    yield made
    await made.wire.aclose()


@asynccontextmanager
async def asking(service: FakeNotify, key: str | None = KEY) -> AsyncIterator[ManaNotify]:
    way = ManaNotify(service.wire.url, SecretStr(key) if key else None, "memoro", seconds=1)
    try:
        yield way
    finally:
        await way.aclose()


async def test_the_notification_service_is_told_what_it_asks_for(service: FakeNotify) -> None:
    async with asking(service) as way:
        assert await way.send(MAIL) == SENT
    assert service.sent == {
        MAIL.external_id: {
            "channel": "email",
            "appId": "memoro",
            "recipient": MAIL.recipient,
            "subject": MAIL.subject,
            "body": MAIL.body,
            "externalId": MAIL.external_id,
        }
    }


@pytest.mark.parametrize(
    ("fault", "posted"),
    [
        ({"status": 503, "headers": {"retry-after": "120"}}, ("pending", "provider_busy", 120)),
        ({"status": 429}, ("pending", "provider_busy", None)),
        ({"status": 403}, ("pending", "provider_out", None)),
        ({"status": 400}, ("failed", "format_not_taken", None)),
        ({"cut": "answer"}, ("pending", "provider_busy", None)),
        ({"latency": 5}, ("pending", "provider_busy", None)),
    ],
)
async def test_what_the_notification_service_answers_says_whether_it_is_asked_again(
    service: FakeNotify, fault: dict[str, Any], posted: tuple[Any, ...]
) -> None:
    service.wire.fault(**fault)
    async with asking(service) as way:
        found = await way.send(MAIL)
        assert (found.state, found.code, found.retry_after) == posted
        assert await way.send(MAIL) == SENT
    assert len(service.sent) == 1


async def test_a_wrong_service_key_is_waited_out(service: FakeNotify) -> None:
    async with asking(service, None) as way:
        assert (await way.send(MAIL)).state is NotificationState.PENDING
    assert service.sent == {}


async def test_without_a_way_out_the_log_says_that_there_is_a_mail_and_no_more() -> None:
    with capture_logs() as logged:
        assert await MailLog().send(MAIL) == Posted(state=NotificationState.LOGGED)
    [line] = logged
    assert line["external_id"] == MAIL.external_id
    said = " ".join(map(str, line.values()))
    assert not any(word in said for word in (MAIL.recipient, MAIL.subject, "Credits"))


def test_attempts_come_further_apart_and_end() -> None:
    assert [pause_after(number) for number in range(1, 7)] == [60, 300, 1800, 7200, 21600, None]
    assert pause_after(1, retry_after=600) == 600
    assert pause_after(1, retry_after=10**9) == 21600
