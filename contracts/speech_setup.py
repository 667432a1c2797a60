"""Which engines speak and how each is reached: from the settings to the providers."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import SecretStr

from contracts.errors import InvalidInput
from contracts.values import Value
from contracts.voices import OPENAI, OWN_VOICES, SERVER_VOICES, voices_of


class SpeechSetup(Value):
    """All of them.

    Attributes:
        tiers: names in the order they are tried.
        own_tokens: whether a user's own token speaks, at the server of ``openai_url``.
        own_token_fallback: whether the tiers step in where such a token comes to nothing.
        call_seconds: bound of one call.
        voices: where a tier's name for a voice differs from the table.
        openai_key: empty for a server that wants none.
        openai_url: none means OpenAI's.
        openai_model: spoken with when a request names none.
        openai_models: that a request may name.
        azure_endpoint: none means that of a key's region.
        azure_host: likewise, of the SDK, ``wss://…``.
        azure_word_times: whether the SDK is used, which tells them.
        kokoro_model: file of the model; beside it that of its voices.
    """

    tiers: tuple[str, ...]
    call_seconds: float
    own_tokens: bool = False
    own_token_fallback: bool = False
    voices: dict[str, dict[str, str]] = {}
    openai_key: SecretStr = SecretStr("")
    openai_url: str | None = None
    openai_model: str = ""
    openai_models: tuple[str, ...] = ()
    azure_endpoint: str | None = None
    azure_host: str | None = None
    azure_word_times: bool = False
    gemini_key: SecretStr = SecretStr("")
    gemini_url: str = ""
    gemini_model: str = ""
    kokoro_model: str = ""
    kokoro_voices: str = ""


class Names(NamedTuple):
    """What may be said to a tier.

    Attributes:
        voices: its own name for each voice of the table that it has.
        own_voices: pattern of the names it knows itself; empty: none.
        models: its own name for each model that may be asked for; the empty one is what is used
            when none is.
    """

    voices: dict[str, str]
    own_voices: str
    models: dict[str, str]

    def voice(self, asked: str) -> str | None:
        """Its own name for a voice; none when it does not have it."""
        if asked in self.voices:
            return self.voices[asked]
        return asked if self.own_voices and re.fullmatch(self.own_voices, asked) else None


def names_of(setup: SpeechSetup, tier: str) -> Names:
    """What a tier of the settings is called by.

    The tiers but OpenAI's have one model each: a name of OpenAI's says nothing to them.
    """
    named = {model: model for model in (*setup.openai_models, setup.openai_model)}
    if tier != OPENAI:
        models = dict.fromkeys([*named, ""], "")
        return Names(dict(voices_of(tier, setup.voices)), OWN_VOICES[tier], models)
    own = SERVER_VOICES if setup.openai_url is not None else ""
    return Names(dict(voices_of(tier, setup.voices)), own, named | {"": setup.openai_model})


def check_names(setup: SpeechSetup, voice: str, model: str, *, own_token: bool = False) -> None:
    """See whether some tier has the voice and takes the model.

    Args:
        own_token: the user's own token is to speak.

    Raises:
        InvalidInput: ``unknown_voice`` or ``unknown_model``.
    """
    tiers = setup.tiers
    if own_token:
        tiers = (OPENAI, *(setup.tiers if setup.own_token_fallback else ()))
    voiced = [names for tier in tiers if (names := names_of(setup, tier)).voice(voice)]
    if not voiced:
        raise unknown_voice([names_of(setup, tier) for tier in tiers])
    if not any(model in names.models for names in voiced):
        raise unknown_model(voiced)


def unknown_voice(tiers: Iterable[Names]) -> InvalidInput:
    """That no tier has a voice, and which there are."""
    known = dict.fromkeys(voice for names in tiers for voice in names.voices)
    return InvalidInput(
        f"No configured engine has this voice: there are {', '.join(known)}, and the engines' own",
        code="unknown_voice",
    )


def unknown_model(tiers: Iterable[Names]) -> InvalidInput:
    """That no tier takes a model, and which may be named."""
    known = dict.fromkeys(model for names in tiers for model in names.models if model)
    return InvalidInput(
        f"No configured engine has this model: there are {', '.join(known)}", code="unknown_model"
    )
