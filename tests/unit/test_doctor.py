import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from contracts.errors import Unavailable
from contracts.invariants import Invariant, Violation
from runtime.doctor import Check, Level, Report, Verdict, examine
from runtime.issuer import KEY_FILE, EmbeddedIssuer
from runtime.settings import load

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("TEMPORAL_", "OPENAI_", "MANA_")):
            monkeypatch.delenv(name)


@pytest.fixture
def vendor() -> Iterator[ThreadingHTTPServer]:
    """Answers with the status and body it is given, and remembers the keys it saw."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.seen.append(self.headers.get("Authorization"))
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(server.body)

        def log_message(self, *_: Any) -> None:
            return

    class Server(ThreadingHTTPServer):
        status = 200
        body = b'{"data": []}'
        seen: list[str | None]

    server = Server(("127.0.0.1", 0), Handler)
    server.seen = []
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(vendor: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{vendor.server_port}"


async def look(folder: Path, name: str, **changes: Any) -> Check:
    report = await examine(load(None, DATA_DIR=folder, **changes), {})
    return next(check for check in report.checks if check.name == name)


async def test_a_new_folder_needs_no_mending_and_every_part_has_its_line(tmp_path: Path) -> None:
    report = await examine(load(None, DATA_DIR=tmp_path), {})
    assert report.ok, report.as_text()
    assert [check.name for check in report.checks] == [
        "python",
        "temporal server",
        "temporal",
        "storage",
        "signing key",
        "issuers",
        "payload keys",
        "outgoing calls",
        "openai",
        "own tokens",
    ]
    assert len(report.as_text().splitlines()) == len(report.checks)


async def test_parts_that_only_a_root_knows_are_handed_in(tmp_path: Path) -> None:
    async def good() -> str:
        return "fine"

    async def bad() -> str:
        raise Unavailable("no ffmpeg: apt-get install ffmpeg")

    report = await examine(load(None, DATA_DIR=tmp_path), {"database": good, "ffmpeg": bad})
    found = {check.name: check for check in report.checks}
    assert (found["database"].level, found["database"].line) == (Level.OK, "fine")
    assert (found["ffmpeg"].level, found["ffmpeg"].line[:9]) == (Level.BAD, "no ffmpeg")
    assert not report.ok
    assert json.loads(report.as_json())["ok"] is False
    assert "MEND  ffmpeg" in report.as_text()


async def test_a_server_that_is_named_and_away_is_to_be_mended(tmp_path: Path) -> None:
    found = await look(tmp_path, "temporal", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert found.level is Level.BAD


async def test_a_wrong_cli_is_named(tmp_path: Path) -> None:
    found = await look(tmp_path, "temporal server", TEMPORAL_CLI="/nowhere/temporal")
    assert found.level is Level.BAD
    assert "TEMPORAL_CLI names /nowhere/temporal" in found.line


@pytest.mark.parametrize(
    ("allowed", "level", "said"),
    [
        ("", Level.NOTE, "public addresses only"),
        ("127.0.0.1:9000,10.0.0.0/8,localhost", Level.OK, "10.0.0.0/8"),
        ("0.0.0.0/0", Level.BAD, "0.0.0.0/0"),
        ("10.0.0.0/8,169.254.0.0/16", Level.BAD, "169.254.0.0/16"),
        ("nobody.invalid", Level.BAD, "nobody.invalid"),
    ],
)
async def test_what_outgoing_calls_may_reach_is_sane(
    tmp_path: Path, allowed: str, level: Level, said: str
) -> None:
    found = await look(tmp_path, "outgoing calls", EGRESS_ALLOW=allowed)
    assert found.level is level
    assert said in found.line


async def test_a_signing_key_others_can_read_is_to_be_mended_by_a_command(tmp_path: Path) -> None:
    kid = EmbeddedIssuer.open(tmp_path).kid
    assert kid in (await look(tmp_path, "signing key")).line
    (tmp_path / KEY_FILE).chmod(0o644)
    found = await look(tmp_path, "signing key")
    assert found.level is Level.BAD
    assert f"chmod 600 {tmp_path / KEY_FILE}" in found.line


async def test_storage_that_cannot_be_made_says_which_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = await look(tmp_path / "file" / "data", "storage")
    assert found.level is Level.BAD
    assert str(tmp_path / "file") in found.line


async def test_sealing_is_a_note_when_it_is_off_and_names_its_key_when_it_is_on(
    tmp_path: Path,
) -> None:
    assert (await look(tmp_path, "payload keys")).level is Level.NOTE
    found = await look(tmp_path, "payload keys", TEMPORAL_PAYLOAD_KEYS=f"k1:{KEY},k0:{KEY}")
    assert (found.level, found.line) == (Level.OK, "sealed with k1, 2 key(s) open")


@pytest.mark.parametrize(
    ("status", "level", "says"),
    [
        (200, Level.OK, "model gpt-transcribe"),
        (404, Level.OK, "model gpt-transcribe"),
        (401, Level.BAD, "check OPENAI_API_KEY"),
        (403, Level.BAD, "check OPENAI_API_KEY"),
    ],
)
async def test_a_vendor_is_asked_whether_it_takes_the_key(
    tmp_path: Path, vendor: Any, status: int, level: Level, says: str
) -> None:
    vendor.status = status
    found = await look(
        tmp_path, "openai", OPENAI_BASE_URL=f"{address(vendor)}/v1", OPENAI_API_KEY="sk-x-secret"
    )
    assert (found.level, says in found.line) == (level, True)
    assert vendor.seen == ["Bearer sk-x-secret"]
    assert "secret" not in found.line


async def test_a_vendor_that_is_away_names_the_setting(tmp_path: Path) -> None:
    found = await look(tmp_path, "openai", OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert found.level is Level.BAD
    assert "check OPENAI_BASE_URL" in found.line


async def test_users_own_tokens_are_a_note_that_says_why_or_tell_where_they_speak(
    tmp_path: Path,
) -> None:
    off = await look(tmp_path, "own tokens", SESSION_KEY=KEY)
    assert (off.level, "TOKEN_SIGN_IN" in off.line) == (Level.NOTE, True)
    found = await look(tmp_path, "own tokens", TOKEN_SIGN_IN=True, SESSION_KEY=KEY)
    assert (found.level, KEY in found.line) == (Level.OK, False)
    assert "at OpenAI, sealed with SESSION_KEY" in found.line


async def test_a_tier_that_is_asked_for_without_its_key_is_to_be_mended(
    tmp_path: Path, vendor: Any
) -> None:
    vendor.status = 401
    found = await look(
        tmp_path,
        "openai",
        OPENAI_BASE_URL=address(vendor),
        TRANSCRIPTION_TIERS="openai",
    )
    assert found.level is Level.BAD


@pytest.mark.parametrize(
    ("body", "level"),
    [
        (b'{"keys": []}', Level.BAD),
        (b"<html>", Level.BAD),
        (None, Level.OK),
    ],
)
async def test_an_issuer_must_publish_a_key_that_is_taken(
    tmp_path: Path, vendor: Any, body: bytes | None, level: Level
) -> None:
    own = json.dumps(EmbeddedIssuer.open(tmp_path).key_set()).encode()
    vendor.body = own if body is None else body
    found = await look(tmp_path, "issuers", MANA_CORE_AUTH_URL=address(vendor))
    assert found.level is level, found.line


def test_a_broken_promise_is_said_with_its_subject() -> None:
    assert json.loads(Verdict(violations=()).as_json()) == {"ok": True, "violations": []}
    broken = Violation(invariant=Invariant.LEDGER, subject="account-1", what="It adds up to less")
    verdict = Verdict(violations=(broken,))
    assert not verdict.ok
    assert json.loads(verdict.as_json())["violations"] == [
        {"invariant": "ledger", "subject": "account-1", "what": "It adds up to less"}
    ]
    assert verdict.as_text() == "ledger  account-1  It adds up to less"


def test_a_note_needs_no_mending() -> None:
    note = Check(name="x", level=Level.NOTE, line="off")
    assert Report(checks=(note,)).ok
