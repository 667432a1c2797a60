"""Languages by the names that Whisper answers with."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_NAMES: Final = """
    afrikaans af, arabic ar, armenian hy, azerbaijani az, belarusian be, bosnian bs,
    bulgarian bg, catalan ca, chinese zh, croatian hr, czech cs, danish da, dutch nl,
    english en, estonian et, finnish fi, french fr, galician gl, german de, greek el,
    hebrew he, hindi hi, hungarian hu, icelandic is, indonesian id, italian it,
    japanese ja, kannada kn, kazakh kk, korean ko, latvian lv, lithuanian lt,
    macedonian mk, malay ms, maori mi, marathi mr, nepali ne, norwegian no, persian fa,
    polish pl, portuguese pt, romanian ro, russian ru, serbian sr, slovak sk, slovenian sl,
    spanish es, swahili sw, swedish sv, tagalog tl, tamil ta, thai th, turkish tr,
    ukrainian uk, urdu ur, vietnamese vi, welsh cy
"""

LANGUAGES: Final[Mapping[str, str]] = MappingProxyType(dict(re.findall(r"(\w+) (\w+)", _NAMES)))
"""Code by name: the languages OpenAI's documentation lists for Whisper."""

_BY_CODE: Final[Mapping[str, str]] = MappingProxyType(
    {code: name for name, code in LANGUAGES.items()}
)


def language_name(tag: str) -> str:
    """The name of a language; a tag of one that Whisper does not know stays what it is."""
    return _BY_CODE.get(tag.partition("-")[0].lower(), tag)
