"""`voicekeep doctor`: is each part in order, and what mends it when it is not.

A probe returns the line to show, or raises a failure whose message says what to do. Probes of parts
that only the roots may know (database, ffmpeg) are handed in.
"""

import asyncio
import json
import os
import platform
import shutil
import stat
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import httpx

from contracts.egress import HTTPS_PORT, AllowedHost, is_address, too_wide
from contracts.errors import Failure, Unavailable
from contracts.invariants import Violation
from contracts.values import Value
from runtime.issuer import KEY_FILE, EmbeddedIssuer
from runtime.key_sets import read_key_set
from runtime.names import Names
from runtime.settings import Settings
from runtime.settings_egress import EgressSettings
from runtime.settings_groups import TemporalSettings
from runtime.temporal_server import TemporalServerMissing, resolve
from runtime.whereabouts import NothingRuns, temporal_of

OLDEST_PYTHON: Final = (3, 11)
ROOM_BYTES: Final = 1 << 30
"""Less free room than this is worth a word: one long recording, converted, takes that much."""

OUTSIDE_SECONDS: Final = 10.0

SETTLING_SECONDS: Final = 90.0
"""Work files of a job that has just ended are removed by then, by the next tick at the latest."""


class Level(StrEnum):
    """How a part is."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"


class Check(Value):
    """One line of the report."""

    name: str
    level: Level
    line: str


class NotInUse(Failure):
    """A part that is optional, and off: nothing is wrong with that."""

    code = "not_in_use"


Probe = Callable[[], Awaitable[str]]


class Report(Value):
    """All lines."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing has to be mended."""
        return all(check.level is not Level.BAD for check in self.checks)

    def as_json(self) -> str:
        """For programs."""
        checks = [check.model_dump(mode="json") for check in self.checks]
        return json.dumps({"ok": self.ok, "checks": checks})

    def as_text(self) -> str:
        """For a person: a line each."""
        width = max(len(check.name) for check in self.checks)
        marks = {Level.OK: "ok  ", Level.NOTE: "note", Level.BAD: "MEND"}
        return "\n".join(f"{marks[c.level]}  {c.name:<{width}}  {c.line}" for c in self.checks)


class Verdict(Value):
    """Broken promises of what is stored."""

    violations: tuple[Violation, ...]

    @property
    def ok(self) -> bool:
        """Whether every promise holds."""
        return not self.violations

    def as_json(self) -> str:
        """For programs."""
        found = [violation.model_dump(mode="json") for violation in self.violations]
        return json.dumps({"ok": self.ok, "violations": found})

    def as_text(self) -> str:
        """For a person: a line each."""
        if self.ok:
            return "Every invariant holds."
        return "\n".join(f"{v.invariant}  {v.subject}  {v.what}" for v in self.violations)


async def examine(settings: Settings, outside: Mapping[str, Probe]) -> Report:
    """Run every probe, at once, and report in their order."""
    probes: dict[str, Probe] = {
        "python": _python,
        "temporal server": lambda: _server(settings.temporal),
        "temporal": lambda: _temporal(settings),
        **outside,
        "storage": lambda: _storage(settings),
        "signing key": lambda: _signing_key(settings),
        "issuers": lambda: _issuers(settings),
        "payload keys": lambda: _payload_keys(settings),
        "outgoing calls": lambda: _egress(settings.egress),
        "openai": lambda: _openai(settings),
        "own tokens": lambda: _own_tokens(settings),
    }
    return Report(
        checks=tuple(await asyncio.gather(*(_check(name, p) for name, p in probes.items())))
    )


async def _check(name: str, probe: Probe) -> Check:
    try:
        return Check(name=name, level=Level.OK, line=await probe())
    except NotInUse as off:
        return Check(name=name, level=Level.NOTE, line=off.message)
    except Failure as failure:
        return Check(name=name, level=Level.BAD, line=failure.message)


async def _python() -> str:
    if sys.version_info < OLDEST_PYTHON:
        raise Unavailable(f"Python {platform.python_version()}: install 3.11 or newer")
    return f"{platform.python_version()} at {sys.executable}"


async def _server(settings: TemporalSettings) -> str:
    address = settings.address if "address" in settings.model_fields_set else None
    try:
        found = await asyncio.to_thread(resolve, address=address, cli=settings.cli)
    except TemporalServerMissing as missing:
        tried = "; ".join(missing.extra["tried"])
        raise Unavailable(f"{missing.message} ({tried})") from missing
    return found.reason


async def _temporal(settings: Settings) -> str:
    # Imported here: half a second that the other commands of the root need not pay.
    from runtime.polling import hosts_by_queue  # noqa: PLC0415
    from runtime.temporal import connect  # noqa: PLC0415

    try:
        where = temporal_of(settings)
    except NothingRuns as nothing:
        raise NotInUse(nothing.message) from nothing
    client = await connect(where)
    hosts = await hosts_by_queue(client, settings.worker.queues)
    idle = [queue for queue, names in hosts.items() if not names]
    if idle:
        raise Unavailable(
            f"nobody serves {' and '.join(idle)}: start a worker with `voicekeep worker`"
        )
    everywhere = sorted(set().union(*hosts.values()))
    if len(everywhere) > 1 and settings.storage.storage == "disk":
        raise Unavailable(
            f"workers run on {', '.join(everywhere)}, and STORAGE=disk keeps recordings on one "
            "host: run them on one, or share DATA_DIR between them"
        )
    return f"{client.service_client.config.target_host}, workers on {', '.join(everywhere)}"


async def _storage(settings: Settings) -> str:
    setup = settings.storage_setup
    folder = setup.folder if setup.kind == "disk" else setup.spool
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise Unavailable(f"{there} cannot be written: give it to this user, or set DATA_DIR")
    free = shutil.disk_usage(there).free
    if free < ROOM_BYTES:
        raise Unavailable(f"{there} has {free >> 20} MiB left: make room, or set DATA_DIR")
    return f"{folder}, {free >> 30} GiB free"


async def _signing_key(settings: Settings) -> str:
    path = settings.data_dir / KEY_FILE
    if not path.exists():
        raise NotInUse("none yet; `voicekeep up` and `voicekeep token` make it")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise Unavailable(f"{path} can be read by others: chmod 600 {path}")
    return f"{path}, key id {EmbeddedIssuer.open(settings.data_dir).kid}"


async def _issuers(settings: Settings) -> str:
    issuers = settings.tokens.issuers()
    if not issuers:
        raise NotInUse("only tokens of `voicekeep token`: set MANA_CORE_AUTH_URL or AUTH_ISSUERS")
    async with _outside() as client:
        for issuer in issuers:
            try:
                answer = await client.get(issuer.jwks_url)
                count = len(read_key_set(answer.raise_for_status().json()))
            except (httpx.HTTPError, ValueError) as error:
                raise Unavailable(
                    f"no key set at {issuer.jwks_url} ({type(error).__name__}): check the address"
                ) from error
            if not count:
                raise Unavailable(f"{issuer.jwks_url} has no EdDSA, ES256 or RS256 key")
    return ", ".join(issuer.issuer for issuer in issuers)


async def _payload_keys(settings: Settings) -> str:
    keys = settings.temporal.payload_keys
    if not keys:
        raise NotInUse("Temporal stores payloads unsealed: set TEMPORAL_PAYLOAD_KEYS to seal them")
    return f"sealed with {keys[0].id}, {len(keys)} key(s) open"


async def _egress(settings: EgressSettings) -> str:
    rules = settings.rules
    if not settings.allow:
        raise NotInUse(
            "https to public addresses only: EGRESS_ALLOW names hosts inside that media by URL and "
            "webhooks may reach"
        )
    wide = too_wide(rules)
    if wide:
        raise Unavailable(
            f"EGRESS_ALLOW has {', '.join(wide)}: with it an address of anybody leads anywhere, or "
            "to the credentials of this machine's cloud; name hosts or smaller networks"
        )
    lost = await _unknown([each for each in rules.hosts if not is_address(each.host)])
    if lost:
        raise Unavailable(f"EGRESS_ALLOW has {', '.join(lost)}, which cannot be looked up here")
    return f"https to public addresses, and {', '.join(settings.allow)}"


async def _unknown(hosts: Sequence[AllowedHost]) -> list[str]:
    """Those the system's resolver does not know."""
    names, lost = Names(), list[str]()
    try:
        for each in hosts:
            try:
                await names(each.host, each.port or HTTPS_PORT)
            except Unavailable:
                lost.append(each.host)
    finally:
        names.close()
    return lost


async def _openai(settings: Settings) -> str:
    wanted = settings.transcription
    if "openai" not in settings.tiers:
        raise NotInUse("off: set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own")
    base = wanted.openai_base_url or "https://api.openai.com/v1"
    key = wanted.openai_api_key.get_secret_value() if wanted.openai_api_key else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with _outside() as client:
        try:
            answer = await client.get(f"{base}/models", headers=headers)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"{base} does not answer ({type(error).__name__}): check OPENAI_BASE_URL"
            ) from error
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise Unavailable(f"{base} refuses the key: check OPENAI_API_KEY")
    return f"{base}, model {wanted.openai_transcription_model}"


async def _own_tokens(settings: Settings) -> str:
    closed = settings.own_tokens_closed
    if closed is not None:
        raise NotInUse(f"texts with an openai_token are refused: {closed}")
    server = settings.speech_setup.openai_url or "OpenAI"
    key = "SESSION_KEY" if settings.sign_in.session_key else "the key of the data folder"
    return f"users' own speak at {server}, sealed with {key}: the worker needs the same"


def _outside() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=OUTSIDE_SECONDS, trust_env=False, follow_redirects=False)
