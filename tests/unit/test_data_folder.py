import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.errors import Conflict
from runtime.addresses import PortTaken, listen, port_of, reserve, url_of
from runtime.data_folder import DataFolder, Running, read_running
from runtime.settings import load
from runtime.whereabouts import NothingRuns, temporal_of


def here(pid: int | None = None) -> Running:
    return Running(
        pid=os.getpid() if pid is None else pid,
        api="http://127.0.0.1:1",
        ui=None,
        temporal="127.0.0.1:2",
        namespace="mine",
    )


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    DataFolder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_only_one_holds_the_folder_at_a_time(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with folder.locked():
        folder.announce(here())
        with (
            pytest.raises(Conflict, match=f"process {os.getpid()}") as raised,
            DataFolder(tmp_path).locked(),
        ):
            pass
        assert raised.value.code == "already_running"
    with DataFolder(tmp_path).locked():
        pass


def test_a_process_that_inherited_the_lock_holds_it_too(tmp_path: Path) -> None:
    with DataFolder(tmp_path).locked() as descriptor:
        waits = "import sys; sys.stdin.read()"
        child = subprocess.Popen(
            [sys.executable, "-c", waits], pass_fds=(descriptor,), stdin=subprocess.PIPE
        )
    with (tmp_path / "up.lock").open("ab") as again:
        with pytest.raises(BlockingIOError):
            fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.communicate()
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_runs_is_found_until_it_is_withdrawn(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert read_running(tmp_path) is None
    folder.announce(here())
    assert read_running(tmp_path) == here()
    folder.withdraw()
    folder.withdraw()
    assert read_running(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "\x00"])
def test_a_broken_note_of_what_runs_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    assert read_running(tmp_path) is None


def test_a_note_of_what_was_killed_is_none(tmp_path: Path) -> None:
    DataFolder(tmp_path).announce(here(dead_pid()))
    assert json.loads((tmp_path / "run.json").read_text())["namespace"] == "mine"
    assert read_running(tmp_path) is None


def test_commands_speak_to_what_runs_on_the_folder_unless_a_server_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    with pytest.raises(NothingRuns, match="voicekeep up"):
        temporal_of(load(None, DATA_DIR=tmp_path))
    DataFolder(tmp_path).announce(here())
    found = temporal_of(load(None, DATA_DIR=tmp_path))
    assert (found.address, found.namespace) == ("127.0.0.1:2", "mine")
    named = temporal_of(load(None, DATA_DIR=tmp_path, TEMPORAL_ADDRESS="h:1"))
    assert (named.address, named.namespace) == ("h:1", "default")


def test_a_reserved_port_can_be_listened_on_by_a_child_and_is_nobody_elses() -> None:
    with reserve("127.0.0.1", 0, "--x") as held:
        with socket.create_server(("127.0.0.1", port_of(held)), reuse_port=False) as child:
            assert child.getsockname() == held.getsockname()
        with socket.socket() as stranger, pytest.raises(OSError, match="Address already in use"):
            stranger.bind(("127.0.0.1", port_of(held)))


def test_requests_wait_in_a_socket_nobody_serves_yet() -> None:
    with (
        listen("127.0.0.1", 0, "--x") as held,
        socket.create_connection(held.getsockname(), timeout=5) as early,
    ):
        early.sendall(b"hello")
        served, _ = held.accept()
        with served:
            assert served.recv(5) == b"hello"


@pytest.mark.parametrize("take", [reserve, listen])
def test_a_taken_port_is_said_or_replaced(take: object) -> None:
    assert callable(take)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match="choose another with --x"):
            take("127.0.0.1", port, "--x")
        with take("127.0.0.1", port, "--x", fallback=True) as other:
            assert port_of(other) != port


def test_an_address_that_is_not_ours_is_never_replaced() -> None:
    with pytest.raises(PortTaken):
        listen("192.0.2.1", 0, "--port", fallback=True)


def test_a_wildcard_is_shown_as_an_address_a_browser_takes() -> None:
    assert url_of("0.0.0.0", 80) == "http://127.0.0.1:80"
    assert url_of("10.0.0.1", 80) == "http://10.0.0.1:80"
