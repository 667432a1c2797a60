"""What is sealed for one job is read for no other, and by nobody without its key."""

from collections.abc import Callable

import pytest
from pydantic import SecretBytes

from contracts.errors import Rejected
from runtime.seals import Seals
from runtime.settings_values import PayloadKey

TEXT = "https://media.example/memo.m4a?signature=planted"
OLD = PayloadKey(id="old", key=SecretBytes(bytes(32)))
NEW = PayloadKey(id="new", key=SecretBytes(bytes([1] * 32)))


def test_what_is_sealed_is_opened_again_and_read_by_nobody() -> None:
    seals = Seals([NEW])
    sealed = seals.seal(TEXT, "memo-1")
    assert "planted" not in sealed
    assert sealed != seals.seal(TEXT, "memo-1")
    assert seals.open(sealed, "memo-1") == TEXT


def test_older_keys_open_and_the_first_one_seals() -> None:
    sealed = Seals([OLD]).seal(TEXT, "memo-1")
    assert Seals([NEW, OLD]).open(sealed, "memo-1") == TEXT
    with pytest.raises(Rejected):
        Seals([OLD]).open(Seals([NEW, OLD]).seal(TEXT, "memo-1"), "memo-1")


def test_without_a_key_a_text_stays_as_it_is_and_is_read_when_there_is_one() -> None:
    kept = Seals([]).seal(TEXT, "memo-1")
    assert kept == f"plain:{TEXT}"
    assert Seals([NEW]).open(kept, "memo-1") == TEXT


SPOILT: dict[str, Callable[[str], str]] = {
    "changed": lambda sealed: sealed[:-4] + "AAAA",
    "of a key that is gone": lambda sealed: sealed.replace("aesgcm:new", "aesgcm:none"),
    "no base64": lambda _: "aesgcm:new:???",
    "cut off": lambda _: "aesgcm:new:",
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_was_changed_or_belongs_elsewhere_is_not_opened(spoilt: str) -> None:
    seals = Seals([NEW])
    sealed = seals.seal(TEXT, "memo-1")
    for text, about in ((SPOILT[spoilt](sealed), "memo-1"), (sealed, "memo-2")):
        with pytest.raises(Rejected) as broken:
            seals.open(text, about)
        assert broken.value.code == "seal_broken"
        assert "planted" not in broken.value.message
