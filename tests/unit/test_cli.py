import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import jwt
import pytest
from click.testing import CliRunner

from cli import voicekeep as commands
from contracts.api_keys import kept_of
from contracts.costs import Bill, audio
from store.database import Database
from store.migrations import upgrade
from tests.embedded import ROOT, voicekeep

USER = "5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11"
OF_USER = ("--user", USER)
COMMANDS = (
    "up",
    "api",
    "worker",
    "send",
    "speak",
    "token",
    "credits grant",
    "credits refund",
    "credits balance",
    "credits transactions",
    "webhooks endpoints",
    "webhooks list",
    "webhooks show",
    "webhooks replay",
    "webhooks test",
    "keys create",
    "keys list",
    "keys revoke",
    "usage",
    "providers check",
    "doctor",
    "migrate",
    "schedules apply",
    "replay",
)


def test_every_command_says_in_its_help_what_it_is_for() -> None:
    runner = CliRunner()
    assert runner.invoke(commands, ["--help"]).exit_code == 0
    for command in COMMANDS:
        done = runner.invoke(commands, [*command.split(), "--help"])
        assert done.exit_code == 0, command
        assert len(done.output.splitlines()) > 3


def test_a_check_of_providers_wants_a_recording_or_a_text_and_not_both(tmp_path: Path) -> None:
    audio = tmp_path / "memo.wav"
    audio.write_bytes(b"RIFF")
    for options in ([], ["--audio", str(audio), "--say", "Hello"]):
        done = CliRunner().invoke(commands, ["providers", "check", *options])
        assert done.exit_code == 2
        assert "Either --audio FILE or --say TEXT." in done.output


def test_the_exit_codes_stand_in_the_help() -> None:
    assert "Exit codes: 0 it worked" in CliRunner().invoke(commands, ["--help"]).output


def test_help_loads_nothing_that_takes_long() -> None:
    heavy = ("pydantic", "temporalio", "sqlalchemy", "fastapi", "httpx", "rich", "structlog", "av")
    program = (
        "import sys, cli\n"
        "try: cli.main()\n"
        f"except SystemExit: print([n for n in {heavy!r} if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_token_is_for_the_user_the_audience_and_the_time_asked_for(tmp_path: Path) -> None:
    done = voicekeep(
        "token",
        *("--user", USER, "--email", "e@x.example", "--audience", "else", "--expires-in", "-60"),
        data=tmp_path,
    )
    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["email"], claims["aud"]) == (USER, "e@x.example", "else")
    assert claims["exp"] == claims["iat"] - 60
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "changes", "status", "says"),
    [
        (("token", "--user", "nobody"), {}, 2, "Invalid value for '--user'"),
        (("token",), {}, 2, "Missing option '--user'"),
        (("nonsense",), {}, 2, "No such command 'nonsense'"),
        (("up", "--port", "70000"), {}, 2, "Invalid value for '--port'"),
        (("credits", "grant", "--user", USER, "--amount", "0"), {}, 2, "'--amount'"),
        (("token", "--user", USER), {"LOG_LEVEL": "loud"}, 2, "LOG_LEVEL is wrong"),
        (("credits", "grant", "--user", USER, "--amount", "1"), {}, 3, "voicekeep migrate"),
        (
            ("keys", "create", *OF_USER, "--name", "n", "--scope", "x"),
            {},
            1,
            "Scopes are memos:read",
        ),
        (
            ("keys", "create", *OF_USER, "--name", "n", "--scope", "admin"),
            {},
            3,
            "voicekeep migrate",
        ),
        (
            ("keys", "list", *OF_USER),
            {"API_KEY_ENVIRONMENT": "x"},
            2,
            "API_KEY_ENVIRONMENT is wrong",
        ),
        (("doctor", "--verify"), {}, 3, "voicekeep migrate"),
        (("replay", "memo-1"), {}, 3, "start it with `voicekeep up`"),
        (("replay", "memo-1"), {"TEMPORAL_ADDRESS": "127.0.0.1:1"}, 3, "does not answer"),
        (("send", str(ROOT / "LICENSE")), {}, 3, "start it with `voicekeep up`"),
        (("send", "/nowhere.m4a"), {}, 2, "does not exist"),
        (("speak", "Seven ships."), {}, 3, "start it with `voicekeep up`"),
        (("speak", "--file", "/nowhere.txt"), {}, 2, "does not exist"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_with_its_exit_code(
    tmp_path: Path,
    arguments: tuple[str, ...],
    changes: dict[str, str],
    status: int,
    says: str,
) -> None:
    data = tmp_path if arguments != ("nonsense",) else None
    done = voicekeep(*arguments, data=data, **changes)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_new_database_is_made_granted_on_and_found_in_order(tmp_path: Path) -> None:
    assert voicekeep("migrate", data=tmp_path).returncode == 0
    assert voicekeep("migrate", data=tmp_path).returncode == 0
    granted = voicekeep("credits", "grant", "--user", USER, "--amount", "7", data=tmp_path)
    assert granted.stdout == "157\n"
    again = ("credits", "grant", "--user", USER, "--amount", "5", "--reference", "order-1")
    assert [voicekeep(*again, data=tmp_path).stdout for _ in range(2)] == ["162\n", "162\n"]
    verified = voicekeep("doctor", "--verify", "--json", data=tmp_path)
    assert json.loads(verified.stdout) == {"ok": True, "violations": []}
    assert verified.returncode == 0


async def test_usage_is_printed_for_operators_with_what_is_not_known_beside_it(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'voicekeep.db'}"
    await upgrade(url)
    database, job = Database(url), f"memo-{USER}"
    async with database.write() as tx:
        await tx.jobs.create(
            job, USER, kind="memo", subject_id=USER, request={}, deadline_seconds=60
        )
        for tier, micros in (("azure-fast", 6_000), ("gemini", None)):
            bill = Bill(units=audio(60), micros=micros)
            await tx.attempts.begin(job, USER, tier, "p", 1, bill=bill)
    await database.close()
    printed = voicekeep("usage", *OF_USER, data=tmp_path).stdout.splitlines()
    assert [" ".join(line.split()) for line in printed] == [
        "azure-fast 1 calls 0.006000 USD",
        "gemini 1 calls unknown USD and 1 calls of unknown cost",
    ]
    found = json.loads(voicekeep("usage", "--by", "day", "--json", data=tmp_path).stdout)
    [day] = found["usage"]
    assert (day["calls"], day["amount"], day["complete"]) == (2, "0.006000", False)
    assert found["from"] < found["to"] == day["key"]
    refused = voicekeep("usage", "--from", "2020-01-01", data=tmp_path)
    assert (refused.returncode, "400 days" in refused.stderr) == (1, True)


def test_credits_are_granted_shown_and_given_back(tmp_path: Path) -> None:
    voicekeep("migrate", data=tmp_path)
    order = ("credits", "grant", *OF_USER, "--amount", "5", "--reference", "order-1", "--json")
    granted = json.loads(voicekeep(*order, data=tmp_path).stdout)
    assert (granted["credits"], granted["totalEarned"]) == (155, 155)
    assert voicekeep("credits", "balance", *OF_USER, data=tmp_path).stdout == "155\n"
    ledger = ("credits", "transactions", *OF_USER, "--limit", "1")
    page = json.loads(voicekeep(*ledger, "--json", data=tmp_path).stdout)
    [entry] = page["transactions"]
    assert (entry["kind"], entry["amount"], entry["userId"]) == ("grant", 5, USER)
    more = (*ledger, "--cursor", page["nextCursor"])
    assert "grant        150" in voicekeep(*more, data=tmp_path).stdout
    case = ("credits", "refund", *OF_USER, "--amount", "1", "--reference", "case-1")
    refused = voicekeep(*case, data=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "0 credits were spent" in refused.stderr
    nowhere = voicekeep("credits", "balance", "--space", USER, data=tmp_path)
    assert (nowhere.returncode, nowhere.stderr) == (1, "voicekeep: There is no such space\n")
    nobody = voicekeep("credits", "balance", data=tmp_path)
    assert (nobody.returncode, "--user or --space" in nobody.stderr) == (2, True)


def test_keys_are_drawn_listed_and_revoked(tmp_path: Path) -> None:
    voicekeep("migrate", data=tmp_path)
    wanted = ("--name", "Import", "--scope", "memos:read", "--scope", "speech")
    drawn = voicekeep("keys", "create", *OF_USER, *wanted, "--expires-in", "60", data=tmp_path)
    kept = kept_of(drawn.stdout.removesuffix("\n"))
    assert kept is not None
    [key] = json.loads(voicekeep("keys", "list", *OF_USER, "--json", data=tmp_path).stdout)[
        "apiKeys"
    ]
    assert (key["last4"], key["scopes"]) == (kept.last4, ["memos:read", "speech"])
    created, expires = (datetime.fromisoformat(key[at]) for at in ("created_at", "expires_at"))
    assert (expires - created).total_seconds() == 60
    listed = voicekeep("keys", "list", *OF_USER, data=tmp_path).stdout
    assert listed.startswith(f"{key['id']}  vk_live_…{kept.last4}  memos:read,speech  ")
    assert drawn.stdout[8:-4] not in listed
    revoked = [voicekeep("keys", "revoke", *OF_USER, key["id"], data=tmp_path) for _ in range(2)]
    assert [done.returncode for done in revoked] == [0, 1]
    assert voicekeep("keys", "list", *OF_USER, data=tmp_path).stdout == ""


def test_a_broken_invariant_is_reported_with_exit_code_one(tmp_path: Path) -> None:
    voicekeep("migrate", data=tmp_path)
    stray = tmp_path / "files" / "user-uploads" / USER / "memo"
    stray.mkdir(parents=True)
    (stray / "audio.m4a").write_bytes(b"left behind")
    done = voicekeep("doctor", "--verify", "--json", data=tmp_path)
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (1, False)
    assert [each["invariant"] for each in report["violations"]] == ["no_orphans"]
