"""A deep merge means the same on both databases, for any JSON."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.errors import InvalidInput
from store.database import Database

SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text("aä'\"\\$.%:{}", max_size=6)
)
KEYS = st.text("abc_-.$ 'ä:%", min_size=1, max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def merge(present: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What a merge means."""
    result = dict(present) if isinstance(present, dict) else {}
    for key, value in changes.items():
        result[key] = merge(result.get(key), value) if isinstance(value, dict) else value
    return result


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=OBJECTS, second=OBJECTS)
async def test_merging_twice_gives_what_merging_in_python_gives(
    database: Database, first: dict[str, Any], second: dict[str, Any]
) -> None:
    user = str(uuid4())
    async with database.write() as tx:
        await tx.profiles.change(user, settings=first)
        merged = await tx.profiles.change(user, settings=second)
    assert merged.app_settings == merge(merge({}, first), second)


@pytest.mark.parametrize("key", ['a"b', "a\\b", "nul\x00", "\ud800", ""])
async def test_a_key_that_no_path_can_spell_is_refused(database: Database, key: str) -> None:
    async with database.write() as tx:
        with pytest.raises(InvalidInput):
            await tx.profiles.change(str(uuid4()), settings={"outer": {key: 1}})


async def test_objects_too_deep_in_one_another_are_refused(database: Database) -> None:
    deep: dict[str, Any] = {}
    for _ in range(1000):
        deep = {"a": deep}
    async with database.write() as tx:
        with pytest.raises(InvalidInput):
            await tx.profiles.change(str(uuid4()), settings=deep)
