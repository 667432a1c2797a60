"""Fetches the tests that OpenAI publishes with its Python client: ``.tools/openai-tests``.

They are in the client's source distribution, of the version and with the hash that
``requirements.lock`` has, so they are always those of the client that is installed. Nothing of them
is in this repository. ``tests/e2e/test_openai_published.py`` runs them.

    python tools/provide_openai_tests.py
"""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from tools.check_lock import HASH, PIN
from tools.source_distribution import NotFetched, Pinned, fetch, unpack

ROOT: Final = Path(__file__).resolve().parent.parent
LOCK: Final = ROOT / "requirements.lock"
INSTALLED: Final = ROOT / ".tools" / "openai-tests"
PACKAGE: Final = "openai"
KEPT: Final = (
    *("LICENSE", "pyproject.toml", "tests/__init__.py", "tests/conftest.py", "tests/utils.py"),
    *("tests/respx2/", "tests/api_resources/__init__.py", "tests/api_resources/audio/"),
    "tests/api_resources/test_models.py",
)
"""Its settings of pytest, what its tests share, and those of what we serve."""


def main() -> int:
    """Fetch them, unless they are there."""
    wanted = pinned(LOCK.read_text())
    if installed():
        return 0
    INSTALLED.parent.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=INSTALLED.parent) as directory:
            made = Path(directory) / "made"
            unpack(fetch(wanted, Path(directory)), made, _name)
            stamp(made).write_text(wanted.requirement)
            shutil.rmtree(INSTALLED, ignore_errors=True)
            made.rename(INSTALLED)
    except NotFetched as error:
        print(f"openai-tests: {error}", file=sys.stderr)
        return 1
    print("openai-tests: .tools/openai-tests is ready", file=sys.stderr)
    return 0


def pinned(lock: str) -> Pinned:
    """The client as a lock file has it.

    Raises:
        LookupError: it has none.
    """
    pins = list(PIN.finditer(lock))
    for pin, after in zip(pins, [*pins[1:], None], strict=True):
        if pin["name"] == PACKAGE:
            lines = lock[pin.start() : after.start() if after else len(lock)]
            digests = (found.rpartition(":")[2] for found in HASH.findall(lines))
            return Pinned(PACKAGE, pin["version"], tuple(digests))
    raise LookupError(f"the lock file does not pin {PACKAGE}")


def _name(member: str) -> str | None:
    _, _, name = member.partition("/")
    return name if name.startswith(KEPT) else None


def stamp(folder: Path) -> Path:
    """What was unpacked whole."""
    return folder / "fetched.txt"


def installed() -> bool:
    """Whether those of the client's version are there."""
    there, wanted = stamp(INSTALLED), pinned(LOCK.read_text()).requirement
    return there.exists() and there.read_text() == wanted


if __name__ == "__main__":
    sys.exit(main())
