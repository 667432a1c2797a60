"""Which published tests are fetched."""

from importlib.metadata import version

import pytest

from tools.provide_openai_tests import LOCK, pinned

HASHES = [digit * 64 for digit in "ab"]
PINS = "".join(
    f"{name}=={number} \\\n" + " \\\n".join(f"    --hash=sha256:{each}" for each in hashes) + "\n"
    for name, number, hashes in (
        ("openai", "3.1", HASHES),
        ("openai-agents", "9", ["c" * 64]),
    )
)


def test_the_published_tests_are_those_of_the_installed_client() -> None:
    assert pinned(LOCK.read_text()).version == version("openai")


def test_the_client_is_found_with_its_own_hashes_alone() -> None:
    found = pinned(PINS)
    assert found.sha256 == tuple(HASHES)
    assert found.requirement == f"openai==3.1 --hash=sha256:{HASHES[0]} --hash=sha256:{HASHES[1]}"


def test_a_lock_without_the_client_is_told() -> None:
    with pytest.raises(LookupError, match="openai"):
        pinned("openai-agents==9 \\\n    --hash=sha256:" + HASHES[0])
