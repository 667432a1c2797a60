"""Installs LiteLLM's proxy for the slow tests: a real OpenAI-compatible server, ``.tools/gateway``.

It has a virtual environment of its own, because its requirements are not ours. They are pinned by
hash in ``tools/gateway/requirements.lock`` and come from the index pip or uv is configured for. It
downloads no model: it passes requests on to whatever server its configuration names.

    python tools/provide_gateway.py

To take another version, change ``tools/gateway/requirements.in`` and run ``make lock``.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PINNED: Final = ROOT / "tools" / "gateway" / "requirements.lock"
CONFIG: Final = ROOT / "tools" / "gateway" / "config.yaml"
INSTALLED: Final = ROOT / ".tools" / "gateway"
PYTHON: Final = INSTALLED / "bin" / "python"


def main() -> int:
    """Install what the lock says, unless that is there."""
    if installed():
        return 0
    shutil.rmtree(INSTALLED, ignore_errors=True)
    for command in commands():
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            print("gateway: LiteLLM could not be installed", file=sys.stderr)
            return code
    stamp().write_bytes(PINNED.read_bytes())
    print("gateway: .tools/gateway is ready", file=sys.stderr)
    return 0


def commands() -> list[list[str]]:
    """An environment and what is in it: by uv where there is one, as in the Makefile."""
    wanted = ["--quiet", "--require-hashes", "-r", str(PINNED)]
    if uv := shutil.which("uv"):
        return [
            [uv, "venv", "--quiet", "--python", sys.executable, str(INSTALLED)],
            [uv, "pip", "install", "--python", str(PYTHON), *wanted],
        ]
    return [
        [sys.executable, "-m", "venv", str(INSTALLED)],
        [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *wanted],
    ]


def stamp() -> Path:
    """The lock that was installed whole."""
    return INSTALLED / "installed.lock"


def installed() -> bool:
    """Whether what is pinned is what is installed."""
    return stamp().exists() and stamp().read_bytes() == PINNED.read_bytes()


def command(port: int) -> list[str]:
    """How it is started; UPSTREAM and GATEWAY_KEY are in its environment."""
    litellm = INSTALLED / "bin" / "litellm"
    where = ("--host", "127.0.0.1", "--port", str(port))
    return [str(litellm), "--config", str(CONFIG), *where, "--telemetry", "False"]


if __name__ == "__main__":
    sys.exit(main())
