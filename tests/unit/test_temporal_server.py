"""Which Temporal server is used, and with which arguments the embedded one starts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.temporal_server import (
    DevServer,
    ServerSource,
    ServerVersion,
    TemporalServerMissing,
    dev_server_extra_args,
    read_version,
    resolve,
    start_dev_server_args,
    tools_folder,
)

PlantCli = Callable[..., Path]

SPEED_AND_SEARCH = """
--ui-disable-news-fetch
--dynamic-config-value history.transferProcessorMaxPollRPS=5000
--dynamic-config-value history.timerProcessorMaxPollRPS=5000
--dynamic-config-value history.timerProcessorMaxTimeShift="10ms"
--dynamic-config-value matching.enableFairness=true
--dynamic-config-value matching.numTaskqueueReadPartitions=1
--dynamic-config-value matching.numTaskqueueWritePartitions=1
--dynamic-config-value frontend.enableServerVersionCheck=false
--sqlite-pragma journal_mode=WAL
--sqlite-pragma synchronous=NORMAL
--search-attribute JobKind=Keyword
--search-attribute UserId=Keyword
--search-attribute SubjectId=Keyword
"""


@pytest.fixture
def plant(tmp_path: Path) -> PlantCli:
    """Puts a program that says it is a Temporal CLI into a folder of its own."""

    def plant_cli(folder: str, version: str = "1.8.2 (Server 1.32.1, UI 2.50.1)") -> Path:
        program = tmp_path / folder / "temporal"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "temporal version {version}"\n')
        program.chmod(0o755)
        return program

    return plant_cli


def test_an_address_is_used_as_it_is_and_nothing_is_looked_for(tmp_path: Path) -> None:
    found = resolve(address="temporal.example:7233", cli="/nowhere", tools=tmp_path)
    assert (found.source, found.address) == (ServerSource.ADDRESS, "temporal.example:7233")
    assert found.executable is None


def test_the_setting_wins_over_the_tools_and_over_path(tmp_path: Path, plant: PlantCli) -> None:
    chosen = plant("chosen")
    tools, on_path = plant("tools").parent, plant("path").parent
    found = resolve(cli=str(chosen), tools=tools, search_path=str(on_path))
    assert (found.source, found.executable) == (ServerSource.SETTING, chosen)


def test_the_tools_win_over_path(tmp_path: Path, plant: PlantCli) -> None:
    own, on_path = plant("tools"), plant("path")
    found = resolve(tools=own.parent, search_path=str(on_path.parent))
    assert (found.source, found.executable) == (ServerSource.TOOLS, own)


def test_path_serves_when_there_is_nothing_else(tmp_path: Path, plant: PlantCli) -> None:
    on_path = plant("path")
    found = resolve(tools=tmp_path / "none", search_path=str(on_path.parent))
    assert (found.source, found.executable) == (ServerSource.PATH, on_path)
    assert found.version == ServerVersion("1.8.2", "1.32.1")
    assert found.reason == f"PATH gives {on_path}, version 1.8.2, server 1.32.1."


@pytest.mark.parametrize("version", ["1.7.9 (Server 1.31.0, UI 2.40.0)", "0.0.0-DEV"])
def test_one_on_path_that_is_too_old_is_passed_over_and_said(
    tmp_path: Path, plant: PlantCli, version: str
) -> None:
    on_path = plant("path", version)
    with pytest.raises(TemporalServerMissing) as missing:
        resolve(tools=tmp_path / "none", search_path=str(on_path.parent))
    tried = missing.value.extra["tried"]
    assert tried[0] == ".tools/temporal: not there"
    assert "1.8 or newer is needed" in tried[1]


def test_a_broken_tool_is_passed_over_for_path(tmp_path: Path, plant: PlantCli) -> None:
    broken, on_path = plant("tools"), plant("path")
    broken.write_text("not a program")
    found = resolve(tools=broken.parent, search_path=str(on_path.parent))
    assert found.source is ServerSource.PATH


def test_with_none_at_all_one_sentence_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TemporalServerMissing) as missing:
        resolve(tools=tmp_path, search_path=str(tmp_path))
    assert missing.value.code == "temporal_server_missing"
    assert missing.value.message.count(". ") == 0
    for way_out in ("install the Temporal CLI 1.8", "Go", "TEMPORAL_ADDRESS"):
        assert way_out in missing.value.message


def test_a_setting_that_names_nothing_is_an_error_although_path_has_one(
    tmp_path: Path, plant: PlantCli
) -> None:
    on_path = plant("path")
    with pytest.raises(TemporalServerMissing, match="TEMPORAL_CLI names /nowhere"):
        resolve(cli="/nowhere", tools=tmp_path, search_path=str(on_path.parent))


def test_a_setting_that_names_an_old_one_says_so(plant: PlantCli) -> None:
    old = plant("old", "1.4.0 (Server 1.28.0, UI 2.30.0)")
    with pytest.raises(TemporalServerMissing, match=r"version 1\.4\.0, and 1\.8 or newer"):
        resolve(cli=str(old))


def test_a_program_that_is_no_temporal_cli_is_told_from_one(tmp_path: Path) -> None:
    other = tmp_path / "temporal"
    other.write_text("#!/bin/sh\necho 'a calendar 3.1'\n")
    other.chmod(0o755)
    with pytest.raises(TemporalServerMissing, match="is no Temporal CLI"):
        read_version(other)


@pytest.mark.parametrize(
    ("version", "new_enough", "skips_time"),
    [
        (ServerVersion("1.8.0", "1.31.2"), True, False),
        (ServerVersion("v1.10.0", "1.32.0"), True, True),
        (ServerVersion("1.8.2-rc.1", "2.0.0"), True, True),
        (ServerVersion("1.7.99", "1.32.0"), False, True),
        (ServerVersion("2.0.0", None), True, False),
    ],
)
def test_versions_compare_by_number(
    version: ServerVersion, *, new_enough: bool, skips_time: bool
) -> None:
    assert (version.is_new_enough, version.skips_time) == (new_enough, skips_time)


def test_tools_are_kept_in_the_checkout_or_else_in_the_users_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert tools_folder(tmp_path) == tmp_path / "cache" / "voicekeep"
    (tmp_path / "tools" / "temporal").mkdir(parents=True)
    (tmp_path / "tools" / "temporal" / "go.mod").touch()
    assert tools_folder(tmp_path) == tmp_path / ".tools"


def test_the_embedded_server_keeps_a_file_shows_a_ui_and_is_fast() -> None:
    server = DevServer(port=7233, ui_port=8233, database=Path(".voicekeep/temporal.db"))
    expected = (
        "server start-dev --ip 127.0.0.1 --port 7233 --ui-port 8233 "
        "--db-filename .voicekeep/temporal.db "
        "--disable-config-env --disable-config-file --log-level warn" + SPEED_AND_SEARCH
    )
    assert start_dev_server_args(server) == tuple(expected.split())


def test_every_option_of_the_server_reaches_its_command_line() -> None:
    server = DevServer(
        port=1,
        ui_port=None,
        database=None,
        metrics_port=2,
        ip="127.0.0.2",
        namespace="jobs",
        log_level="error",
        time_skipping=True,
    )
    command = " ".join(start_dev_server_args(server))
    assert command.startswith(
        "server start-dev --ip 127.0.0.2 --port 1 --headless --metrics-port 2 --namespace jobs "
    )
    assert "--db-filename" not in command
    assert "--log-level error" in command
    assert "frontend.WorkflowTimeSkippingEnabled=true" in command


def test_time_is_skipped_only_where_it_is_asked_for() -> None:
    flag = "frontend.WorkflowTimeSkippingEnabled=true"
    assert dev_server_extra_args() == tuple(SPEED_AND_SEARCH.split())
    assert flag not in dev_server_extra_args()
    assert flag in dev_server_extra_args(time_skipping=True)


def test_the_search_path_is_the_processs_own_by_default(
    plant: PlantCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = plant("path")
    monkeypatch.setenv("PATH", f"{on_path.parent}{os.pathsep}{os.environ['PATH']}")
    assert resolve(tools=tmp_path / "none").executable == on_path
