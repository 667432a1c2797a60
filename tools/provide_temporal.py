"""Sees to it that a Temporal server is there, and says on stderr which one is used and why.

`make env` runs it in the project's environment: what is installed is used, else the SDK's download
is tried, else the server is built from its published module.
"""

import asyncio
import os
import sys
from pathlib import Path

from runtime.temporal_server import TemporalServer, TemporalServerMissing, resolve, tools_folder


def main() -> int:
    """0 when there is a server, 1 and one sentence that says what to install when there is none."""
    address, cli = os.environ.get("TEMPORAL_ADDRESS"), os.environ.get("TEMPORAL_CLI")
    drop_outdated(tools_folder() / "temporal")
    try:
        found = find(address, cli)
    except TemporalServerMissing as error:
        for line in error.extra["tried"]:
            say(f"  {line}")
        say(error.message)
        return 1
    say(found.reason)
    return 0


def find(address: str | None, cli: str | None) -> TemporalServer:
    """What is there, at once; what has to be fetched or built, after a while."""
    try:
        return resolve(address=address, cli=cli)
    except TemporalServerMissing:
        # The SDK takes half a second to import, and is only needed now.
        from runtime.temporal_supply import provide  # noqa: PLC0415

        return asyncio.run(provide(address=address, cli=cli, say=say))


def drop_outdated(program: Path) -> None:
    """Forgets a server that is older than the versions asked for now."""
    pins = program.parent.parent / "tools" / "temporal" / "go.sum"
    if program.is_file() and pins.is_file() and program.stat().st_mtime < pins.stat().st_mtime:
        program.unlink()


def say(line: str) -> None:
    """To a person, beside whatever a script reads."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
