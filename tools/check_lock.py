"""Checks that the lock files fit pyproject.toml, without asking a package index.

Every requirement of the project (and of its tools) is pinned to a version it allows, every pin has
hashes, no file names an address, and the image's two locks are parts of the whole one. What slow
tests install for themselves has locks of its own. `make lock` writes them anew.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
WHOLE: Final = "requirements.lock"
RUNTIME: Final = "deploy/requirements.lock"
BUILD: Final = "deploy/build.lock"
APART: Final = ("tools/gateway", "tools/whisper")
"""Each with a ``requirements.in`` and its lock."""
PIN: Final = re.compile(r"(?m)^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)")
HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ADDRESS: Final = re.compile(r"://|--(?:extra-)?index-url|--find-links|--trusted-host| @ ")

Project = Mapping[str, Any]
"""The tables of a pyproject.toml."""


def read_pins(text: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes by normalised name."""
    starts = list(PIN.finditer(text))
    ends = [*(start.start() for start in starts[1:]), len(text)]
    return {
        canonicalize_name(start["name"]): (
            start["version"],
            len(HASH.findall(text, start.start(), end)),
        )
        for start, end in zip(starts, ends, strict=True)
    }


def problems_of(name: str, text: str, wanted: list[str]) -> Iterator[str]:
    """What is wrong with one lock file, a sentence each."""
    pins = read_pins(text)
    for line in wanted:
        requirement = Requirement(line)
        version, _ = pins.get(canonicalize_name(requirement.name), (None, 0))
        if version is None:
            yield f"{name} does not hold {requirement.name}."
        elif not requirement.specifier.contains(version, prereleases=True):
            yield f"{name} holds {requirement.name} {version}; {requirement} is asked for."
    for package, (_, hashes) in pins.items():
        if not hashes:
            yield f"{name} has no hash for {package}."
    for address in ADDRESS.findall(text):
        yield f"{name} names an address or an option that does ({address.strip()})."


def group(project: Project, name: str) -> list[str]:
    """The requirements of a dependency group, those of the groups it includes among them."""
    found: list[str] = []
    for entry in project["dependency-groups"][name]:
        found += [entry] if isinstance(entry, str) else group(project, entry["include-group"])
    return found


def problems(project: Project, locks: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the texts of a project's lock files."""
    needed = project["project"]["dependencies"]
    wanted = {
        WHOLE: [*needed, *group(project, "dev")],
        RUNTIME: needed,
        BUILD: group(project, "build"),
    }
    whole = read_pins(locks[WHOLE])
    for name, requirements in wanted.items():
        yield from problems_of(name, locks[name], requirements)
        for package, pin in read_pins(locks[name]).items():
            if whole.get(package) != pin:
                yield f"{name} and {WHOLE} differ over {package}."


def main() -> int:
    """1 and a line for each problem, 0 when there is none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    locks = {name: (ROOT / name).read_text() for name in (WHOLE, RUNTIME, BUILD)}
    found = list(problems(project, locks))
    for folder in APART:
        wanted = (ROOT / folder / "requirements.in").read_text().splitlines()
        name = f"{folder}/requirements.lock"
        found += problems_of(name, (ROOT / name).read_text(), wanted)
    for line in found:
        print(f"{line} Run `make lock`.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
