"""Installs what the extra ``whisper`` adds, for the slow tests: ``.tools/whisper``, beside .venv.

The engine and its voice activity detection, no model. The packages are pinned by hash in
``tools/whisper/requirements.lock``; ``make lock`` sees to it that what .venv has too is of the same
version there.

    PYTHONPATH=.tools/whisper .venv/bin/python …
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PINNED: Final = ROOT / "tools" / "whisper" / "requirements.lock"
INSTALLED: Final = ROOT / ".tools" / "whisper"


def main() -> int:
    """Install what the lock says, unless that is there."""
    if installed():
        return 0
    shutil.rmtree(INSTALLED, ignore_errors=True)
    wanted = ["--quiet", "--no-deps", "--require-hashes", "--target", str(INSTALLED)]
    wanted += ["-r", str(PINNED)]
    if uv := shutil.which("uv"):
        command = [uv, "pip", "install", "--python", sys.executable, *wanted]
    else:
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *wanted]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        print("whisper: faster-whisper could not be installed", file=sys.stderr)
        return code
    stamp().write_bytes(PINNED.read_bytes())
    print("whisper: .tools/whisper is ready", file=sys.stderr)
    return 0


def stamp() -> Path:
    """The lock that was installed whole."""
    return INSTALLED / "installed.lock"


def installed() -> bool:
    """Whether what is pinned is what is installed."""
    return stamp().exists() and stamp().read_bytes() == PINNED.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
