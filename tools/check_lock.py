"""Checks that the lock files fit pyproject.toml, without asking a package index.

Every requirement of the project (and of its tools) is pinned to a version it allows, every pin has
hashes, no file names an address, and the runtime's lock is a part of the whole one. `make lock`
writes both anew.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).resolve().parent.parent
WHOLE: Final = "requirements.lock"
RUNTIME: Final = "deploy/requirements.lock"
PIN: Final = re.compile(r"(?m)^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)")
HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")
ADDRESS: Final = re.compile(r"://|--(?:extra-)?index-url|--find-links|--trusted-host| @ ")


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


def problems(project: dict[str, dict[str, list[str]]], whole: str, runtime: str) -> Iterator[str]:
    """What is wrong with both lock files of a project."""
    needed, tools = project["project"]["dependencies"], project["dependency-groups"]["dev"]
    yield from problems_of(WHOLE, whole, [*needed, *tools])
    yield from problems_of(RUNTIME, runtime, needed)
    all_pins = read_pins(whole)
    for package, pin in read_pins(runtime).items():
        if all_pins.get(package) != pin:
            yield f"{RUNTIME} and {WHOLE} differ over {package}."


def main() -> int:
    """1 and a line for each problem, 0 when there is none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    found = list(problems(project, (ROOT / WHOLE).read_text(), (ROOT / RUNTIME).read_text()))
    for line in found:
        print(f"{line} Run `make lock`.", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
