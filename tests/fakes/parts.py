"""Stand-ins for the processes of `voicekeep up`, so that its supervisor meets parts that misbehave.

Run as ``python parts.py up FOLDER`` it is the supervisor over them; as ``python parts.py <part>``
it is the part, whose behaviour the environment variable ``PART_<NAME>`` names.
"""

import asyncio
import http.server
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from runtime.notify import announce_ready

HERE = str(Path(__file__).resolve())
FOREVER = 10_000


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every path with 200."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


def api(behaviour: str) -> None:
    """Serves on the socket that was handed down."""
    server = http.server.ThreadingHTTPServer(("", 0), Page, bind_and_activate=False)
    server.socket = socket.socket(fileno=int(sys.argv[-1]))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.serve_forever()


def worker(behaviour: str) -> None:
    """Says that it is ready, unless it is told to do otherwise."""
    if behaviour == "dies":
        sys.exit(7)
    if behaviour == "dies twice" and deaths() < 2:
        sys.exit(7)
    if behaviour == "leaves children":
        for apart in (False, True):
            subprocess.Popen([sys.executable, HERE, "sleep"], start_new_session=apart)
    if behaviour == "leaves orphans that end":
        nested = "import subprocess; subprocess.Popen(['sleep', '0.3'])"
        for _ in range(5):
            subprocess.run([sys.executable, "-c", nested], check=True)
    announce_ready()
    time.sleep(FOREVER)


def deaths() -> int:
    """How often this was asked before."""
    count = Path(os.environ["DATA_DIR"]) / "deaths"
    with count.open("ab") as file:
        file.write(b"x")
    return count.stat().st_size - 1


def up(folder: str) -> int:
    """The supervisor, told to use these parts."""
    # The parts themselves start sooner without all this.
    from contracts.errors import Failure  # noqa: PLC0415
    from runtime import embedded, logs, settings  # noqa: PLC0415
    from runtime.announcements import announcer  # noqa: PLC0415
    from runtime.temporal_server import ServerSource, TemporalServer  # noqa: PLC0415

    found = settings.load(None, DATA_DIR=folder)
    logs.configure(found.logs)
    plan = embedded.Plan(
        settings=found,
        env=settings.environment(None),
        entry=(sys.executable, HERE),
        server=TemporalServer(ServerSource.ADDRESS, "none is needed", "127.0.0.1:1"),
        port=0,
    )
    try:
        asyncio.run(embedded.up(plan, announcer(found.data_dir, as_json=True)))
    except Failure as failure:
        sys.stderr.write(f"{failure.message}\n")
        return 1
    return 0


def main() -> None:
    part = sys.argv[1]
    if part == "up":
        sys.exit(up(sys.argv[2]))
    behaviour = os.environ.get(f"PART_{part.upper()}", "")
    if part == "api":
        api(behaviour)
    elif part == "worker":
        worker(behaviour)
    elif part == "sleep":
        time.sleep(FOREVER)
    elif behaviour == "fails":  # migrate, schedules
        sys.exit(5)


if __name__ == "__main__":
    main()
