"""How a Temporal server is obtained where none is installed."""

import os
from pathlib import Path
from typing import Any

import pytest

from runtime import temporal_supply
from runtime.temporal_server import ServerSource, TemporalServerMissing
from runtime.temporal_supply import build, download, provide

CLI = '#!/bin/sh\necho "temporal version 1.9.1 (Server 1.32.2, UI 2.50.1)"\n'
NOWHERE = "/nowhere"


class Started:
    """What ``start_local`` returns, as far as it is used."""

    def __init__(self) -> None:
        self.ended = False

    async def shutdown(self) -> None:
        self.ended = True


class Downloads:
    """Stands in for the SDK: leaves a CLI and something small beside it, as a download does."""

    def __init__(self) -> None:
        self.started = Started()
        self.version = ""

    async def __call__(self, *, download_dest_dir: str, dev_server_download_version: str) -> Any:
        self.version = dev_server_download_version
        program = Path(download_dest_dir) / "temporal-cli-sdk-python"
        program.write_text(CLI)
        program.chmod(0o755)
        (Path(download_dest_dir) / "lock").touch()
        return self.started


async def unreachable(**_: str) -> Any:
    """Stands in for the SDK on a machine without a way out."""
    raise RuntimeError("failed to download: no route")


async def test_a_download_is_kept_as_the_tool_and_the_server_it_started_ended(
    tmp_path: Path,
) -> None:
    sdk = Downloads()
    assert await download(tmp_path / "tools", sdk) == tmp_path / "tools" / "temporal"
    assert (tmp_path / "tools" / "temporal").read_text() == CLI
    assert [path.name for path in (tmp_path / "tools").iterdir()] == ["temporal"]
    assert sdk.version == temporal_supply.DOWNLOAD_VERSION
    assert sdk.started.ended


async def test_a_download_that_fails_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    with pytest.raises(TemporalServerMissing, match="cannot be downloaded: failed to download"):
        await download(tmp_path, unreachable)
    assert list(tmp_path.iterdir()) == []


async def test_a_download_that_leaves_no_program_is_no_server(tmp_path: Path) -> None:
    async def empty(**_: str) -> Any:
        return Started()

    with pytest.raises(TemporalServerMissing, match="left no file"):
        await download(tmp_path, empty)


def checkout_that_builds(folder: Path, script: str) -> Path:
    """A checkout whose build script is ``script``."""
    (folder / "tools").mkdir(parents=True)
    (folder / "tools" / "build_tools.py").write_text(script)
    return folder


@pytest.fixture
def go_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes this look like a machine with Go, whether it is one or not."""
    go = tmp_path / "go-bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("go_on_path")
async def test_a_build_is_asked_for_the_tools_folder(tmp_path: Path) -> None:
    script = "import sys, pathlib; pathlib.Path(sys.argv[2], sys.argv[3]).write_text(sys.argv[1])"
    checkout = checkout_that_builds(tmp_path / "checkout", script)
    assert (await build(tmp_path, checkout)).read_text() == "--into"


@pytest.mark.usefixtures("go_on_path")
async def test_a_build_that_fails_is_no_server(tmp_path: Path) -> None:
    checkout = checkout_that_builds(tmp_path / "checkout", "raise SystemExit(1)")
    with pytest.raises(TemporalServerMissing, match="Building the Temporal CLI failed"):
        await build(tmp_path, checkout)


@pytest.mark.usefixtures("go_on_path")
async def test_outside_a_checkout_nothing_is_built(tmp_path: Path) -> None:
    with pytest.raises(TemporalServerMissing, match="Only a checkout"):
        await build(tmp_path, tmp_path)


async def test_without_go_nothing_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TemporalServerMissing, match="Go is not installed"):
        await build(tmp_path)


async def test_what_is_there_is_used_without_a_word(tmp_path: Path) -> None:
    program = tmp_path / "temporal"
    program.write_text(CLI)
    program.chmod(0o755)
    said: list[str] = []
    found = await provide(tools=tmp_path, say=said.append)
    assert (found.source, found.executable, said) == (ServerSource.TOOLS, program, [])


async def test_a_wrong_setting_is_not_mended_by_a_download(tmp_path: Path) -> None:
    with pytest.raises(TemporalServerMissing, match="TEMPORAL_CLI names /nowhere"):
        await provide(cli="/nowhere", tools=tmp_path)


async def test_what_cannot_be_downloaded_is_built_and_named_so(tmp_path: Path) -> None:
    async def fails(_: Path) -> Path:
        raise TemporalServerMissing("No way out.")

    async def builds(tools: Path) -> Path:
        (tools / "temporal").write_text(CLI)
        (tools / "temporal").chmod(0o755)
        return tools / "temporal"

    said: list[str] = []
    ways = {ServerSource.DOWNLOAD: fails, ServerSource.BUILD: builds}
    found = await provide(tools=tmp_path, search_path=NOWHERE, say=said.append, ways=ways)
    assert found.source is ServerSource.BUILD
    assert found.reason == f"build made {tmp_path}/temporal, version 1.9.1, server 1.32.2."
    assert "No way out." in said


async def test_when_no_way_leads_to_a_server_each_is_named_with_its_reason(tmp_path: Path) -> None:
    async def fails(_: Path) -> Path:
        raise TemporalServerMissing("No way out.")

    ways = {ServerSource.DOWNLOAD: fails, ServerSource.BUILD: fails}
    with pytest.raises(TemporalServerMissing, match="TEMPORAL_ADDRESS") as missing:
        await provide(tools=tmp_path, search_path=NOWHERE, ways=ways)
    assert missing.value.extra["tried"] == [
        ".tools/temporal: not there",
        "PATH: not there",
        "download: No way out.",
        "build: No way out.",
    ]
