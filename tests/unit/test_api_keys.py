import string

import pytest

from contracts.api_keys import (
    MARK,
    MEMOS,
    DrawnKey,
    Environment,
    Scope,
    draw_key,
    kept_of,
    permits,
    scopes_of,
)
from contracts.errors import InvalidInput
from runtime.seals import Seals, passing_key

LIVE = "vk_live_"


@pytest.mark.parametrize("environment", Environment)
def test_a_key_names_its_environment_and_is_drawn_anew_each_time(environment: Environment) -> None:
    drawn = [draw_key(environment) for _ in range(200)]
    for key, kept in drawn:
        assert key.startswith((f"vk_{environment}_", MARK))
        assert (len(key), key.isascii()) == (44, True)
        assert kept == kept_of(key) == DrawnKey(kept.digest, environment.prefix, key[-4:])
        assert key not in repr(kept)
    assert len({kept.digest for _, kept in drawn}) == len(drawn)
    letters = {letter for key, _ in drawn for letter in key[8:]}
    assert letters == set(string.ascii_letters + string.digits)


def test_a_key_with_one_letter_changed_or_two_swapped_is_none() -> None:
    key, _ = draw_key(Environment.LIVE)
    for place in range(len(LIVE), len(key)):
        for letter in {"a", "Z", "0"} - {key[place]}:
            assert kept_of(key[:place] + letter + key[place + 1 :]) is None
    for place in range(len(LIVE), len(key) - 1):
        swapped = key[:place] + key[place + 1] + key[place] + key[place + 2 :]
        assert swapped == key or kept_of(swapped) is None


def test_a_key_of_one_environment_is_no_key_of_the_other() -> None:
    key, _ = draw_key(Environment.LIVE)
    assert kept_of(key.replace("live", "test")) is None


def test_what_only_looks_like_a_key_is_none() -> None:
    key, _ = draw_key(Environment.LIVE)
    rest = key.removeprefix(LIVE)
    for text in (
        *("", LIVE, key[:-1], f"{key}0", f"{key}\n", f" {key}", key.upper(), key * 1000),
        *(f"vk_prod_{rest}", f"sk_live_{rest}", f"{key[:-1]}é", f"{key[:-1]}\udcff"),
    ):
        assert kept_of(text) is None


def test_a_scope_opens_what_names_it_and_admin_what_names_any() -> None:
    for scope in Scope:
        opened = {wanted for wanted in Scope if permits({scope}, wanted)}
        assert opened == (set(Scope) if scope is Scope.ADMIN else {scope})
        assert not permits({scope}, None)
        assert not permits(set(), scope)
    assert MEMOS == (Scope.MEMOS_READ, Scope.MEMOS_WRITE)


def test_scopes_are_those_of_the_list() -> None:
    assert scopes_of(["memos:read", "admin"]) == (Scope.MEMOS_READ, Scope.ADMIN)
    with pytest.raises(InvalidInput, match="credits:read"):
        scopes_of(["memos:*"])


def test_what_one_process_sealed_with_its_passing_key_another_does_not_open() -> None:
    here, there = Seals((passing_key(),)), Seals((passing_key(),))
    sealed = here.seal("vk_live_", "me")
    assert here.open(sealed, "me") == "vk_live_"
    assert "vk_live_" not in sealed
    with pytest.raises(Exception, match="cannot be opened"):
        there.open(sealed, "me")
