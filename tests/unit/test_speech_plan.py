"""Who speaks a text: by voice, model and language, and never another language in silence."""

import re
from typing import Any

import pytest

from contracts.errors import InvalidInput
from contracts.speech import (
    PlannedVoice,
    SpeechCapabilities,
    SpeechFormat,
    SpeechOffer,
    SpeechOrder,
    Timing,
    TimingKind,
    as_vtt,
    plan_speech,
)
from contracts.speech_setup import SpeechSetup, check_names, names_of
from contracts.voices import (
    GEMINI,
    KOKORO,
    LOCAL,
    OPENAI,
    OWN_VOICES,
    SPEECH_TIERS,
    VOICES,
    check_changes,
    voices_of,
)

SETUP = SpeechSetup(
    tiers=SPEECH_TIERS,
    call_seconds=9,
    openai_model="tts-1",
    openai_models=("tts-1", "tts-1-hd"),
    voices={"nova": {"gemini": ""}, "narrator": {"azure": "de-DE-KatjaNeural", "local": "+m3"}},
)
SPEAKS = {KOKORO: frozenset({"en", "fr"}), LOCAL: frozenset({"en", "fr", "cy"})}


def offers(*tiers: str, setup: SpeechSetup = SETUP) -> list[SpeechOffer]:
    return [
        SpeechOffer(
            name=tier,
            provider=f"{tier} vendor",
            capabilities=SpeechCapabilities(
                max_characters=100,
                languages=SPEAKS.get(tier, frozenset()),
                max_speed=2.0,
                wants_language=tier in SPEAKS,
            ),
            names=names_of(setup, tier),
        )
        for tier in tiers or SPEECH_TIERS
    ]


def planned(language: str | None = None, **order: object) -> list[str]:
    """The tiers that may speak."""
    asked = SpeechOrder(text="Hello", voice="alloy").model_copy(update=order)
    return [voice.name for voice in plan_speech(asked, offers(), language)]


def refused(language: str | None = None, **order: object) -> str:
    with pytest.raises(InvalidInput) as raised:
        planned(language, **order)
    return raised.value.code


def test_the_tiers_come_in_their_configured_order() -> None:
    assert planned("en") == list(SPEECH_TIERS)
    order = SpeechOrder(text="Hello", voice="alloy")
    turned = plan_speech(order, offers(LOCAL, OPENAI), "en")
    assert [voice.name for voice in turned] == [LOCAL, OPENAI]


def test_a_tier_without_the_voice_is_passed_over() -> None:
    assert planned("en", voice="nova") == ["openai", "azure", "kokoro", "local"]
    assert planned("en", voice="narrator") == ["azure", "local"]
    assert planned("en", voice="de-DE-KatjaNeural") == ["azure"]
    assert planned("en", voice="espeak:cy") == ["local"]
    assert refused(voice="nobody") == "unknown_voice"


def test_a_tier_that_does_not_speak_the_language_is_passed_over() -> None:
    assert planned("fr-CA") == list(SPEECH_TIERS)
    assert planned("cy") == ["openai", "azure", "gemini", "local"]
    assert planned("ja", voice="narrator") == ["azure"]
    assert refused("ja", voice="espeak:cy") == "language_not_spoken"
    assert refused("de", voice="af_heart") == "language_not_spoken"


def test_a_text_of_unknown_language_is_everybodys_to_try() -> None:
    assert planned(None) == list(SPEECH_TIERS)


def test_a_language_that_was_said_is_told_to_every_tier_and_a_guess_to_those_that_want_it() -> None:
    order = SpeechOrder(text="Bonjour", voice="alloy")
    said = plan_speech(order.model_copy(update={"language": "fr-CA"}), offers(), "fr-CA")
    assert {voice.language for voice in said} == {"fr-CA"}
    guessed = {voice.name: voice.language for voice in plan_speech(order, offers(), "fr")}
    assert guessed == {OPENAI: None, "azure": None, GEMINI: None, KOKORO: "fr", LOCAL: "fr"}


def test_a_vendors_parts_have_one_hash_whatever_language_was_guessed() -> None:
    order = SpeechOrder(text="Hello", voice="alloy")
    hashes = {
        plan_speech(order, offers(OPENAI), guess)[0].part_hash("Hello")
        for guess in ("en", "fr", None)
    }
    assert len(hashes) == 1


def test_a_model_is_one_that_may_be_asked_for_and_the_configured_one_else() -> None:
    order = SpeechOrder(text="Hello", voice="alloy")
    models = {voice.name: voice.model for voice in plan_speech(order, offers(), "en")}
    assert models == dict.fromkeys(SPEECH_TIERS, "") | {"openai": "tts-1"}
    order = order.model_copy(update={"model": "tts-1-hd"})
    models = {voice.name: voice.model for voice in plan_speech(order, offers(), "en")}
    assert models == dict.fromkeys(SPEECH_TIERS, "") | {"openai": "tts-1-hd"}
    assert refused(model="gpt-99") == "unknown_model"


def test_whoever_asks_for_what_there_is_not_is_told_what_there_is() -> None:
    order = SpeechOrder(text="Hello", voice="alloy")
    with pytest.raises(InvalidInput, match=r"there are alloy, ash, .*, verse, .*narrator"):
        plan_speech(order.model_copy(update={"voice": "nobody"}), offers(), "en")
    with pytest.raises(InvalidInput, match=r"there are tts-1, tts-1-hd$"):
        plan_speech(order.model_copy(update={"model": "gpt-99"}), offers(), "en")
    with pytest.raises(InvalidInput, match="speaks the language `tlh`"):
        plan_speech(order, offers(LOCAL), "tlh")


@pytest.mark.parametrize(
    ("voice", "model", "code"),
    [("nobody", "", "unknown_voice"), ("nova", "gpt-99", "unknown_model")],
)
def test_the_front_refuses_what_no_plan_would_take(voice: str, model: str, code: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check_names(SETUP, voice, model)
    assert raised.value.code == code == refused("en", voice=voice, model=model)
    check_names(SETUP, "narrator", "tts-1-hd")


def test_an_engine_does_as_much_of_the_speed_as_it_can() -> None:
    order = SpeechOrder(text="Hello", voice="alloy", speed=3.0)
    assert {voice.speed for voice in plan_speech(order, offers(), "en")} == {2.0}
    slow = order.model_copy(update={"speed": 0.5})
    assert {voice.speed for voice in plan_speech(slow, offers(), "en")} == {1.0}


def test_a_server_of_ones_own_has_voices_of_its_own_and_a_vendor_has_not() -> None:
    assert names_of(SETUP, OPENAI).voice("af_sky+af_nova(2)") is None
    own = SETUP.model_copy(update={"openai_url": "http://127.0.0.1:9/v1"})
    assert names_of(own, OPENAI).voice("af_sky+af_nova(2)") == "af_sky+af_nova(2)"
    assert names_of(own, OPENAI).voice("a\nb") is None


@pytest.mark.parametrize("tier", SPEECH_TIERS)
def test_every_voice_of_the_table_has_a_name_in_every_tier(tier: str) -> None:
    names = voices_of(tier, {})
    assert tuple(names) == VOICES
    assert len(set(names.values())) == len(VOICES) >= 13
    own = OWN_VOICES.get(tier)
    spelled = {GEMINI: "gemini:{}", LOCAL: "espeak:en{}"}.get(tier, "{}")
    for name in names.values():
        assert own is None or re.fullmatch(own, spelled.format(name)), name


def test_a_change_of_the_table_names_a_tier_that_there_is() -> None:
    check_changes({"nova": {"azure": "x"}})
    with pytest.raises(ValueError, match="'polly', which is no tier"):
        check_changes({"nova": {"polly": "x"}})


def test_equal_requests_have_one_hash_and_any_other_has_another() -> None:
    order = SpeechOrder(text="Hello", voice="nova", speed=1.0)
    assert order.content_hash == SpeechOrder(text="Hello", voice="nova").content_hash
    others: list[dict[str, Any]] = [
        {"text": "Hello."},
        {"voice": "echo"},
        {"model": "tts-1"},
        {"format": SpeechFormat.WAV},
        {"speed": 1.25},
        {"language": "en"},
        {"text": "Hellonova", "voice": ""},
    ]
    hashes = {order.model_copy(update=other).content_hash for other in others}
    assert len(hashes | {order.content_hash}) == len(others) + 1
    spelled = [order.model_copy(update={"language": tag}) for tag in ("en-US", "EN-us")]
    assert spelled[0].content_hash == spelled[1].content_hash


def test_parts_that_sound_the_same_have_one_hash_whichever_tier_or_format() -> None:
    voice = PlannedVoice(
        name="openai", provider="openai", voice="nova", model="m", max_characters=9
    )
    same: list[dict[str, Any]] = [
        {"name": "another tier"},
        {"max_characters": 99},
        {"call_seconds": 9},
        {"free": True},
    ]
    assert {voice.model_copy(update=field).part_hash("Hi") for field in same} == {
        voice.part_hash("Hi")
    }
    others: list[dict[str, Any]] = [
        {"provider": "x"}, {"voice": "x"}, {"model": "x"}, {"language": "en"}, {"speed": 1.5}
    ]  # fmt: skip
    hashes = {voice.model_copy(update=other).part_hash("Hi") for other in others}
    assert len(hashes | {voice.part_hash("Hi"), voice.part_hash("Ho")}) == len(others) + 2


def test_a_timing_moves_with_its_part_and_shrinks_with_its_tempo() -> None:
    word = Timing(kind=TimingKind.WORD, text="ships", start=1.0, end=1.5)
    assert word.moved(0) == word
    assert word.moved(4) == word.model_copy(update={"start": 5.0, "end": 5.5})
    assert word.moved(4, 2.0) == word.model_copy(update={"start": 4.5, "end": 4.75})


def test_times_of_words_and_of_sentences_are_cues_of_a_player() -> None:
    words = [
        Timing(kind=TimingKind.WORD, text=text, start=at, end=at + 0.5)
        for at, text in enumerate(["Seven", "ships", "<passed>"])
    ]
    cues = as_vtt(words)
    assert cues.startswith("WEBVTT")
    assert re.search(r"00:00:00\.000 --> 00:00:02\.500\nSeven ships &lt;passed&gt;", cues)
    sentences = [
        Timing(kind=TimingKind.SENTENCE, text=f"Sentence {at}.", start=at, end=at + 1.0)
        for at in range(2)
    ]
    cues = as_vtt(sentences)
    assert cues.index("Sentence 0.") < cues.index("Sentence 1.")
    assert cues.count("-->") == 2
    assert as_vtt([]).strip() == "WEBVTT"
