"""``voicekeep notify test``: one mail by the way that is set up."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.notify import notify as command
from store.migrations import upgrade
from tests.fakes.mail_server import MailServer


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    return tmp_path


async def notify(data: Path, to: str, **environment: str) -> Result:
    arguments = ["test", "--data", str(data), "--to", to]
    invoke = CliRunner(env={"ENV_FILE": "", **environment}).invoke
    return await asyncio.to_thread(invoke, command, arguments)


async def test_a_mail_goes_out_and_its_fate_is_told(data: Path) -> None:
    server = MailServer()
    await server.start()
    settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_TLS": "none"}
    sent = await notify(data, "ops@example.com", **settings)
    server.refusals.append(("RCPT", "550 no such user"))
    refused = await notify(data, "nobody@example.com", **settings)
    await server.aclose()
    assert (sent.exit_code, sent.stdout) == (0, "sent\n")
    assert [mail["To"] for mail in server.received] == ["ops@example.com"]
    assert (refused.exit_code, refused.stdout) == (1, "failed: smtp_550\n")


async def test_without_a_way_out_the_mail_is_kept(data: Path) -> None:
    kept = await notify(data, "ops@example.com")
    assert (kept.exit_code, kept.stdout) == (0, "logged\n")


async def test_an_address_that_is_none_is_refused(data: Path) -> None:
    refused = await notify(data, "ops@example.com\nBcc: eve@example.com")
    assert refused.exit_code == 1
    assert "mail address" in str(refused.exception)
