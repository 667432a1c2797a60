"""The table of voices: what each name is called by each engine.

The names are OpenAI's, because clients know them. Azure sells the first six by the same names, for
any language; for the others the nearest of its multilingual voices stands here, as do Gemini's,
which speak any language too. The local engine has variants instead of people. What is wrong for
somebody is put right by ``SPEECH_VOICES``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

OPENAI: Final = "openai"
AZURE: Final = "azure"
GEMINI: Final = "gemini"
KOKORO: Final = "kokoro"
LOCAL: Final = "local"
OPENAI_OWN: Final = "openai-own"
"""The tier ``openai``, paid by a user with a token of their own; no setting names it."""
SPEECH_TIERS: Final = (OPENAI, AZURE, GEMINI, KOKORO, LOCAL)
"""Tiers of ``SPEECH_TIERS``, in their default order."""

_COLUMNS: Final = (AZURE, GEMINI, KOKORO, LOCAL)
_TABLE: Final = MappingProxyType(
    {
        "alloy": ("en-US-AlloyTurboMultilingualNeural", "Aoede", "af_alloy", "+f2"),
        "ash": ("en-US-AndrewMultilingualNeural", "Puck", "am_adam", "+m1"),
        "ballad": ("en-US-BrianMultilingualNeural", "Charon", "bm_lewis", "+m2"),
        "cedar": ("en-US-DavisMultilingualNeural", "Orus", "am_michael", "+m4"),
        "coral": ("en-US-AvaMultilingualNeural", "Leda", "af_heart", "+f1"),
        "echo": ("en-US-EchoTurboMultilingualNeural", "Fenrir", "am_echo", "+m3"),
        "fable": ("en-US-FableTurboMultilingualNeural", "Zephyr", "bm_fable", "+m5"),
        "marin": ("en-US-EmmaMultilingualNeural", "Kore", "af_sarah", "+f3"),
        "nova": ("en-US-NovaTurboMultilingualNeural", "Callirrhoe", "af_nova", "+f4"),
        "onyx": ("en-US-OnyxTurboMultilingualNeural", "Iapetus", "am_onyx", "+m7"),
        "sage": ("en-US-CoraMultilingualNeural", "Autonoe", "af_bella", "+f5"),
        "shimmer": ("en-US-ShimmerTurboMultilingualNeural", "Despina", "af_sky", "+Annie"),
        "verse": ("en-US-SteffanMultilingualNeural", "Enceladus", "bm_george", "+m6"),
    }
)
OWN_VOICES: Final = MappingProxyType(
    {
        # ``de-DE-KatjaNeural``, ``en-US-Ava:DragonHDLatestNeural``
        AZURE: r"[a-z]{2,3}-[A-Z][A-Za-z]{1,8}(-[a-z]{2,12})?(-[A-Za-z0-9]{2,60})(:[A-Za-z0-9]+)?",
        # ``gemini:Kore``
        GEMINI: r"gemini:[A-Z][a-z]{2,20}",
        # ``af_heart``: first the language's letter, then the sex of the voice
        KOKORO: r"[a-z][fm]_[a-z0-9]{2,20}",
        # ``espeak:de``, ``espeak:en-gb-scotland+f3``
        LOCAL: r"espeak:[a-z]{2,3}(-[a-z0-9-]{2,12})?(\+[A-Za-z0-9_]{1,20})?",
    }
)
"""Patterns of the names that engines know themselves."""

SERVER_VOICES: Final = r"[A-Za-z0-9_.+() -]{1,64}"
"""Of somebody else's server of OpenAI's API: it has voices of its own, and knows which."""

VOICES: Final = tuple(_TABLE)
"""Every name of the table, in order."""


def voices_of(tier: str, changes: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """What a tier calls each voice it has.

    Args:
        changes: ``SPEECH_VOICES``, ``{"nova": {"azure": "de-DE-SeraphinaMultilingualNeural"}}``:
            further names, other voices, and an empty one for a voice the tier is not to speak.
    """
    if tier == OPENAI:
        found = {name: name for name in _TABLE}
    else:
        found = {name: row[_COLUMNS.index(tier)] for name, row in _TABLE.items()}
    found |= {name: row[tier] for name, row in changes.items() if tier in row}
    return {name: own for name, own in found.items() if own}


def check_changes(changes: Mapping[str, Mapping[str, str]]) -> None:
    """See whether ``SPEECH_VOICES`` names tiers there are.

    Raises:
        ValueError: it does not.
    """
    for name, row in changes.items():
        for tier in row:
            if tier not in SPEECH_TIERS:
                raise ValueError(f"the voice {name!r} names {tier!r}, which is no tier of speech")
