"""Words that say nothing by themselves, by language: the lists that come with YAKE."""

from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

_OTHER_NAMES: Final = MappingProxyType({"nb": "no", "nn": "no", "cs": "cz"})


def list_name(language: str) -> str:
    """What YAKE calls the list of a language.

    Args:
        language: primary subtag, ``de``; empty for unknown, which has words of no language.
    """
    return _OTHER_NAMES.get(language, language or "xx")


@cache
def stop_words(language: str) -> frozenset[str]:
    """The list, in lower case; empty for a language without one."""
    file = files("yake.core").joinpath("StopwordsList", f"stopwords_{list_name(language)}.txt")
    return frozenset(file.read_text("utf-8").lower().split()) if file.is_file() else frozenset()
