"""What `voicekeep up` says on stdout: lines for programs, or text for a person."""

import json
import sys
from pathlib import Path
from typing import Any

from runtime.embedded import Listener, Ready


def announcer(data_dir: Path, *, as_json: bool) -> Listener:
    """Who tells the reader of stdout what happens."""
    if as_json:
        return Listener(ready=_ready_line, restarted=_restarted_line)
    return Listener(ready=lambda ready: _ready_text(ready, data_dir), restarted=_restarted_text)


def _ready_line(ready: Ready) -> None:
    _write(json.dumps({"event": "ready"} | ready.model_dump()))


def _restarted_line(name: str, pid: int, old_pid: int) -> None:
    event: dict[str, Any] = {"event": "restarted", "name": name, "pid": pid, "old_pid": old_pid}
    _write(json.dumps(event))


def _ready_text(ready: Ready, data_dir: Path) -> None:
    _write(f"Voicekeep is up after {ready.seconds:.1f} s.")
    rows = {
        "API": ready.api,
        "API docs": f"{ready.api}/docs",
        "Temporal UI": ready.ui or "(of your own server)",
        "Kept in": str(data_dir),
        "Logs": str(data_dir / "logs"),
    }
    for name, value in rows.items():
        _write(f"  {name:<12} {value}")
    _write("Ctrl-C stops it all; the next start goes on where this one ended.")


def _restarted_text(name: str, pid: int, old_pid: int) -> None:
    _write(f"The {name} process {old_pid} died and was started again as {pid}.")


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
