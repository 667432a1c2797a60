"""Builds the Go programs the product is run and checked with, from their published modules.

    python3 tools/build_tools.py temporal           the embedded server, about four minutes cold
    python3 tools/build_tools.py --all              and the production server with its schema tool
    python3 tools/build_tools.py docker-compose     the real compose tool, about one minute cold

The versions are those of ``tools/temporal/go.mod`` and ``tools/deploy/go.mod``. A program appears
under its name only when it is whole. Needs nothing but Python and Go.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
TAIL_LINES: Final = 20
"""Of what Go said, shown when a build fails."""


@dataclass(frozen=True)
class Target:
    """One program: the folder of its go.mod, its package, and where its version is written."""

    module: str
    package: str
    version_of: str = ""
    version_symbol: str = ""
    version_prefix: str = ""


TARGETS: Final = {
    "temporal": Target(
        "tools/temporal",
        "github.com/temporalio/cli/cmd/temporal",
        "github.com/temporalio/cli",
        "github.com/temporalio/cli/internal/temporalcli.Version",
    ),
    "temporal-server": Target("tools/temporal", "go.temporal.io/server/cmd/server"),
    "temporal-sql-tool": Target("tools/temporal", "go.temporal.io/server/cmd/tools/sql"),
    "docker-compose": Target(
        "tools/deploy",
        "github.com/docker/compose/v5/cmd",
        "github.com/docker/compose/v5",
        "github.com/docker/compose/v5/internal.Version",
        "v",
    ),
}
TEMPORAL: Final = ("temporal", "temporal-server", "temporal-sql-tool")


class BuildFailed(Exception):
    """A program could not be built; the message is for the person who asked."""


class Progress:
    """One line on stderr that counts packages; silent when stderr is no terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = time.monotonic()
        self._shown = sys.stderr.isatty()

    def count(self, done: int, total: int) -> None:
        """Shows how many of the packages are compiled; those in Go's cache are never counted."""
        if self._shown:
            seconds = time.monotonic() - self._started
            line = f"building {self._name}: {done} of at most {total} packages, {seconds:.0f} s"
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Shows one lasting line, terminal or not."""
        start = "\r\033[K" if self._shown else ""
        print(f"{start}{text}", file=sys.stderr, flush=True)


def pinned_version(target: Target) -> str:
    """Version of the target's module in its go.mod, without the ``v``."""
    text = (ROOT / target.module / "go.mod").read_text()
    found = re.search(rf"(?m)^(?:require )?\s*{re.escape(target.version_of)} v(\S+)", text)
    if found is None:
        raise BuildFailed(f"{target.module}/go.mod does not name {target.version_of}")
    return found[1]


def is_current(program: Path, target: Target) -> bool:
    """Whether the program is younger than the versions it is built from."""
    if not program.is_file():
        return False
    pins = (ROOT / target.module / name for name in ("go.mod", "go.sum"))
    return all(program.stat().st_mtime > pin.stat().st_mtime for pin in pins)


def linker_flags(target: Target) -> str:
    """Leaves debug tables away, and writes in the version where the program shows one."""
    flags = "-s -w"
    if target.version_symbol:
        version = target.version_prefix + pinned_version(target)
        flags += f" -X {target.version_symbol}={version}"
    return flags


def count_packages(target: Target, environment: dict[str, str]) -> int:
    """How many packages the program has; downloads its modules where they are missing."""
    listed = subprocess.run(
        ["go", "list", "-mod=readonly", "-deps", target.package],
        cwd=ROOT / target.module,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        raise BuildFailed(tail(listed.stderr.splitlines()))
    return len(listed.stdout.splitlines())


def build(name: str, folder: Path) -> None:
    """Builds one program into the folder, under its name only once it is whole.

    Raises:
        BuildFailed: with the end of what Go said.
    """
    target = TARGETS[name]
    if is_current(folder / name, target):
        return
    progress = Progress(name)
    progress.say(f"building {name} from {target.package} (minutes, the first time)")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    total = count_packages(target, environment)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.{os.getpid()}"
    command = ["go", "build", "-mod=readonly", "-v", "-trimpath", "-ldflags", linker_flags(target)]
    command += ["-o", str(unfinished), target.package]
    started = time.monotonic()
    try:
        run(command, ROOT / target.module, environment, progress, total)
        unfinished.replace(folder / name)
    finally:
        unfinished.unlink(missing_ok=True)
    progress.say(f"built {folder / name} in {time.monotonic() - started:.0f} s")


def run(
    command: list[str], where: Path, environment: dict[str, str], progress: Progress, total: int
) -> None:
    """Runs Go, counting the packages it names; it ends with us.

    Raises:
        BuildFailed: when Go fails.
    """
    said: deque[str] = deque(maxlen=TAIL_LINES)
    with subprocess.Popen(
        command, cwd=where, env=environment, stderr=subprocess.PIPE, text=True
    ) as go:
        try:
            for done, line in enumerate(go.stderr or (), start=1):
                said.append(line.rstrip())
                progress.count(done, total)
        except BaseException:
            go.terminate()
            raise
    if go.returncode != 0:
        raise BuildFailed(tail(said))


def tail(lines: Iterable[str]) -> str:
    """The last lines of what Go said, as one message."""
    return "\n".join(deque(lines, maxlen=TAIL_LINES)) or "go failed without a word"


def main(arguments: list[str]) -> int:
    """Builds what is asked for; 1 and a reason when it cannot."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*TARGETS, []], metavar="NAME")
    parser.add_argument("--all", action="store_true", help="everything of the Temporal server")
    parser.add_argument("--into", type=Path, default=ROOT / ".tools", metavar="FOLDER")
    options = parser.parse_args(arguments)
    names = [*options.names, *(TEMPORAL if options.all else ())] or ["temporal"]
    if shutil.which("go") is None:
        print(
            "Go is not installed: install Go 1.26.8 or newer and run this again.", file=sys.stderr
        )
        return 1
    for name in names:
        try:
            build(name, options.into)
        except BuildFailed as error:
            print(f"{name} could not be built:\n{error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
