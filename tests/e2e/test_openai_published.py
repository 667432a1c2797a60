"""The tests that OpenAI publishes with its Python client, run against us.

They are fetched by ``tools/provide_openai_tests.py`` and run as they are, with their own conftest
and settings, in a process of their own; ``TEST_API_BASE_URL`` is our API's address. Three things
differ from OpenAI's mock server, for which they were written:

- What they send is filled in before it reaches the app, see ``Filled``: the key, and bytes that no
  server could transcribe.
- Their model ``gpt-6-astra`` is in our settings.
- Tests of speech, which answer themselves, ask us: ``openai_unmocked.py``.

All of them run; those that cannot hold here stand in ``REFUSED`` with what they must fail with.
"""

import asyncio
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.testing import WorkflowEnvironment

from store.migrations import upgrade
from tests.api.front import opened
from tests.api.sockets import listening
from tests.fakes.openai import FakeOpenAI
from tests.media.samples import sample
from tests.site import Site
from tools import provide_openai_tests

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(170)]

UNMOCKED: Final = Path(__file__).with_name("openai_unmocked.py")
READ_OUT: Final = "librivox/sense_and_sensibility_01_austen_64kb-0870.wav"
FILES: Final = (
    "tests/api_resources/audio/test_speech.py",
    "tests/api_resources/audio/test_transcriptions.py",
    "tests/api_resources/audio/test_translations.py",
    "tests/api_resources/test_models.py",
)
"""Left out are ``audio/test_voices.py`` and ``audio/test_voice_consents.py``: nobody's voice is
copied here, so there are no such paths."""

REFUSED: Final = {
    "test_speech.py::test_method_create": (
        "expects the answer of its own mock, JSON; ours is audio",
        "JSONDecodeError|UnicodeDecodeError",
    ),
    "test_speech.py::test_method_create_with_all_params": (
        "likewise; ours are events",
        "JSONDecodeError",
    ),
    "test_models.py::test_method_delete": (
        "models are named by the settings: nobody deletes one",
        "405",
    ),
    "test_models.py::test_raw_response_delete": ("likewise", "405"),
    "test_models.py::test_streaming_response_delete": ("likewise", "405"),
}
"""Of their tests, by file and name: why they cannot hold, and how they have to fail."""
PASSED: Final = 110
"""How many hold: a sync and an async client, each loose and strict, and one over aiohttp."""
ENOUGH: Final = 40
"""Failures after which nothing is asked any more: the client tries each call three times."""
NO_PASS: Final = frozenset({"failure", "error", "skipped"})


class Filled:
    """Stands before the app; gives requests what they only stand for, and counts how often.

    Args:
        key: one of ours.
        speech: a recording.
    """

    def __init__(self, app: ASGIApp, key: str, speech: bytes) -> None:
        self._app = app
        self._given = {
            b"Bearer My API Key": f"Bearer {key}".encode(),
            b"\r\n\r\nExample data\r\n": b"\r\n\r\n" + speech + b"\r\n",
            b'name="language"\r\n\r\nlanguage\r\n': b'name="language"\r\n\r\nen\r\n',
            b'name="languages[]"\r\n\r\nstring\r\n': b'name="languages[]"\r\n\r\nen\r\n',
        }
        self.counted: Counter[bytes] = Counter()

    @property
    def unused(self) -> set[bytes]:
        """What no request had."""
        return self._given.keys() - self.counted.keys()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        filled = self._fill(body)
        unread: list[Message] = [{"type": "http.request", "body": filled}]

        async def received() -> Message:
            return unread.pop() if unread else await receive()

        length = (b"content-length", str(len(filled)).encode())
        headers = [
            length if name == length[0] else (name, self._fill(value))
            for name, value in scope["headers"]
        ]
        await self._app({**scope, "headers": headers}, received, send)

    def _fill(self, said: bytes) -> bytes:
        for asked, given in self._given.items():
            if asked in said:
                self.counted[asked] += 1
                said = said.replace(asked, given)
        return said


async def test_the_published_tests_of_the_client_hold(
    environment: WorkflowEnvironment, tmp_path: Path
) -> None:
    results = await _against_us(environment, tmp_path)
    failed = {name: said for name, said in results.items() if said}
    refused = {name for name in results if _plain(name) in REFUSED}
    unexpected = [f"{name}: {said}" for name, said in failed.items() if name not in refused]
    assert not unexpected, "\n".join(unexpected)
    assert failed.keys() == refused, "what cannot hold held"
    assert {_plain(name) for name in refused} == REFUSED.keys(), "there are no such tests any more"
    for name, said in failed.items():
        _, sign = REFUSED[_plain(name)]
        assert re.search(sign, said), f"{name} failed with something else: {said}"
    assert len(results) - len(failed) == PASSED


def _plain(name: str) -> str:
    """File and name of a test, without its class and its parameter."""
    return re.sub(r"::\w+::(\w+)(\[.*)?", r"::\1", name)


async def _against_us(environment: WorkflowEnvironment, folder: Path) -> dict[str, str]:
    """Run them; what each failed with, empty for those that passed."""
    data, vendor = folder / "data", FakeOpenAI()
    data.mkdir()
    await upgrade(f"sqlite:///{data / 'voicekeep.db'}")
    await vendor.start()
    site = Site(environment.client, data, vendor)
    settings: dict[str, Any] = {
        "SPEECH_TIERS": "openai",
        "OPENAI_BASE_URL": vendor.base_url,
        "OPENAI_API_KEY": "test",
        "OPENAI_API_WAIT_SECONDS": 60,
        "OPENAI_SPEECH_MODELS": "tts-1,gpt-6-astra",
        "TEMPORAL_ADDRESS": environment.client.service_client.config.target_host,
    }
    async with (
        site.working(SPEECH_TIERS="openai"),
        opened(data, temporal=True, **settings) as front,
    ):
        body = {"name": "n", "scopes": ["speech", "memos:write"]}
        drawn = await front.ask("POST", "api-keys", front.user(), json=body)
        filled = Filled(front.app, drawn.json()["key"], sample(READ_OUT).read_bytes())
        async with listening(front, filled) as url:
            results = await _run(folder, f"{url}/v1")
    assert await site.broken() == []
    await site.close()
    assert not filled.unused
    return results


async def _run(folder: Path, url: str) -> dict[str, str]:
    if not provide_openai_tests.installed():
        raise FileNotFoundError("The client's tests are missing: run `make openai-tests`")
    suite, report = folder / "suite", folder / "report.xml"
    shutil.copytree(provide_openai_tests.INSTALLED, suite)
    shutil.copy(UNMOCKED, suite / "tests" / "api_resources" / "conftest.py")
    # Their settings want pytest-xdist: a process that is one of two already starts none itself.
    command = [sys.executable, "-m", "pytest", "-p", "pytest_asyncio.plugin", "-o", "addopts="]
    command += [
        "-q",
        "--tb=line",
        f"--maxfail={ENOUGH}",
        f"--junitxml={report}",
        "-o",
        "junit_family=xunit1",
        *FILES,
    ]
    own = {"TEST_API_BASE_URL": url, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    running = await asyncio.create_subprocess_exec(
        *command,
        cwd=suite,
        env=kept | own,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.kill()
    assert running.returncode in {0, 1}, said.decode()
    return dict(_results(report))


def _results(report: Path) -> Iterator[tuple[str, str]]:
    """Names of tests, and what they failed with; whatever is no pass is a failure."""
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest's own, just written
        file, name = Path(case.attrib["file"]).name, case.attrib["name"]
        told = [f"{each.tag}: {each.get('message')}" for each in case if each.tag in NO_PASS]
        yield f"{file}::{case.attrib['classname'].rpartition('.')[2]}::{name}", "; ".join(told)
