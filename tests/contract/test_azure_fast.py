"""Azure fast transcription against its stand-in."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from contracts.audio import AudioFacts
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from contracts.tiers import TierOffer, plan
from providers.azure_fast import MAX_ANSWER_BYTES, AzureFast
from providers.azure_speech import AzureSpeech, SpeechCredential
from tests.fakes.alone import started
from tests.fakes.azure_site import (
    FACTS,
    FAST,
    LOCALES,
    SECONDS,
    Azure,
    azure_site,
    batch_of,
    hear,
)
from tests.fakes.listening import made_up
from tests.media.memory import MEGABYTE, at_most
from tests.media.recordings import recordings, tone, write_wav
from tests.media.samples import memo_facts, sample

LARGE = 96 * MEGABYTE


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with azure_site() as site:
        yield site


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("azure") / "audio.wav", tone(SECONDS))


async def test_the_words_come_back_with_times_speakers_and_language(
    azure: Azure, audio: Path
) -> None:
    transcript = await hear(AzureFast(azure.speech, FAST), audio)
    said = made_up(SECONDS)
    assert transcript.text == " ".join(each.text for each in said)
    assert [(u.offset, u.duration, u.speaker) for u in transcript.utterances] == [
        (each.offset, each.duration, number % 2 + 1) for number, each in enumerate(said)
    ]
    words = [word for each in said for word in each.words]
    assert [(w.text, w.offset, w.duration) for w in transcript.words] == words
    assert transcript.languages == ("en-US",)
    assert transcript.speakers == {"1": "Speaker 1", "2": "Speaker 2"}


async def test_the_audio_is_sent_as_it_is_with_the_definition_of_the_settings(
    azure: Azure, audio: Path
) -> None:
    await hear(AzureFast(azure.speech, FAST), audio, languages=["de", "en-us"])
    [call] = azure.fakes[0].calls
    assert (call["filename"], call["bytes"]) == ("audio.wav", FACTS.size)
    assert call["sha256"] == hashlib.sha256(audio.read_bytes()).hexdigest()
    assert call["definition"] == {
        "locales": ["de-DE", "en-US"],
        "profanityFilterMode": "None",
        "diarization": {"enabled": True, "maxSpeakers": 10},
        "phraseList": {"phrases": ["Voicekeep"]},
    }


async def test_without_a_language_the_defaults_are_asked_for_and_speakers_can_be_left_out(
    azure: Azure, audio: Path
) -> None:
    transcript = await hear(AzureFast(azure.speech, FAST), audio, languages=[], diarization=False)
    [call] = azure.fakes[0].calls
    assert call["definition"]["locales"] == list(LOCALES)
    assert "diarization" not in call["definition"]
    assert not transcript.speakers


async def test_what_was_heard_before_is_not_asked_for_again(azure: Azure, audio: Path) -> None:
    transcript = await hear(AzureFast(azure.speech, FAST), audio, after=SECONDS)
    assert not transcript.text
    assert azure.calls == [[], [], []]


async def test_real_speech_behind_the_stand_in_is_understood(azure: Azure) -> None:
    azure.fakes[0].recognise = True
    memo = sample("memo.wav")
    facts = FACTS.model_copy(update={"size": memo.stat().st_size, "seconds": 25.0})
    transcript = await hear(AzureFast(azure.speech, FAST), memo, facts)
    assert set(memo_facts()["must_be_heard"]) <= set(transcript.text.lower().split())


def refusal(inner: str, code: str = "InvalidArgument") -> str:
    return f'{{"code": "{code}", "message": "m", "innerError": {{"code": "{inner}"}}}}'


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (refusal("InvalidAudioFormat"), FormatNotTaken),
        (refusal("BadChannelConfiguration"), FormatNotTaken),
        ('{"error": {"code": "InvalidAudioFormat", "message": "m"}}', FormatNotTaken),
        ('{"code": "UnprocessableEntity", "message": "m"}', FormatNotTaken),
        ("{}", FormatNotTaken),
        (refusal("AudioLengthLimitExceeded"), TooLongForProvider),
        (refusal("EmptyAudioFile"), NoSpeech),
        ('{"code": "NoLanguageIdentified"}', NoSpeech),
        (refusal("InvalidLocale", "InvalidRequest"), ProviderBroken),
        ('{"code": "InvalidSubscription"}', ProviderOut),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
async def test_the_innermost_code_says_what_a_refusal_means(
    azure: Azure, audio: Path, status: int, body: str, failure: type[ProviderFailure]
) -> None:
    for fake in azure.fakes:
        fake.fault(status=status, body=body, undone=True)
    fast = AzureFast(azure.speech, FAST)
    if failure is ProviderOut:
        for _ in range(2):
            with pytest.raises(ProviderBusy):
                await hear(fast, audio)
    with pytest.raises(ProviderFailure) as raised:
        await hear(fast, audio)
    assert type(raised.value) is failure


async def test_an_m4a_is_not_taken_by_the_vendor_and_the_plan_knows(
    azure: Azure, tmp_path: Path
) -> None:
    good = recordings(tmp_path)
    facts = FACTS.model_copy(update={"container": "mov", "codec": "aac", "seconds": 2.0})
    with pytest.raises(FormatNotTaken):
        await hear(AzureFast(azure.speech, FAST), good["m4a"], facts)
    assert not AzureFast(azure.speech, FAST).capabilities.takes_format(facts)
    for extension in ("mp3", "opus", "flac", "webm", "wav", "aac", "wma"):
        kind = {"opus": "ogg", "webm": "matroska", "wma": "asf"}.get(extension, extension)
        taken = facts.model_copy(update={"container": kind})
        assert AzureFast(azure.speech, FAST).capabilities.takes_format(taken)
        assert (await hear(AzureFast(azure.speech, FAST), good[extension], taken)).text


async def test_audio_beyond_the_limits_is_not_even_sent(azure: Azure, audio: Path) -> None:
    fast = AzureFast(azure.speech, FAST)
    for change in ({"size": 250_000_001}, {"seconds": 6900.5}):
        with pytest.raises(TooLongForProvider):
            await hear(fast, audio, FACTS.model_copy(update=change))
    assert azure.calls == [[], [], []]


async def test_an_empty_answer_is_no_speech(azure: Azure, audio: Path) -> None:
    azure.fakes[0].fault(body='{"durationMilliseconds": 9, "combinedPhrases": [], "phrases": []}')
    with pytest.raises(NoSpeech):
        await hear(AzureFast(azure.speech, FAST), audio)


async def test_phrases_grouped_by_channel_are_put_in_their_order(azure: Azure, audio: Path) -> None:
    phrase = (
        '{{"channel": {}, "speaker": {}, "offsetMilliseconds": {}, "durationMilliseconds": 5,'
        ' "text": "{}", "locale": "{}"}}'
    )
    phrases = ",".join(
        phrase.format(*each)
        for each in [
            (0, 0, 10, "one", "en-US"),
            (0, 0, 30, "three is long", "de-DE"),
            (1, 1, 20, "two", "en-US"),
        ]
    )
    azure.fakes[0].fault(body=f'{{"phrases": [{phrases}]}}')
    transcript = await hear(AzureFast(azure.speech, FAST), audio, languages=[])
    assert transcript.text == "one two three is long"
    assert [u.speaker for u in transcript.utterances] == [1, 2, 1]
    assert transcript.languages == ("en-US", "de-DE")
    assert transcript.primary_language == "de-DE"


def test_varieties_that_batch_alone_takes_well_are_planned_for_batch(azure: Azure) -> None:
    fast = AzureFast(azure.speech, FAST).capabilities
    batch = batch_of(azure).capabilities
    offers = [
        TierOffer(name="azure-fast", provider="azure", capabilities=fast),
        TierOffer(name="azure-batch", provider="azure", capabilities=batch, batch=True),
    ]
    both, long = FACTS, FACTS.model_copy(update={"seconds": 6901.0})

    def planned(facts: AudioFacts, *languages: str) -> list[str]:
        return [tier.name for tier in plan(facts, languages, offers)]

    assert planned(both, "de-DE") == ["azure-fast", "azure-batch"]
    assert planned(both, "en-US", "de-CH") == ["azure-batch"]
    assert planned(both, "de-at") == ["azure-batch"]
    assert planned(long, "de-DE") == ["azure-batch"]
    stereo = FACTS.model_copy(update={"channels": 2})
    assert [tier.convert for tier in plan(stereo, ["de-CH"], offers)] == [True]


def test_the_converted_tier_takes_nothing_but_our_own_wav(azure: Azure) -> None:
    converted = AzureFast(azure.speech, FAST, converted=True).capabilities
    assert converted.takes_format(FACTS)
    for change in ({"container": "mp3"}, {"sample_rate": 44_100}, {"channels": 2}):
        assert not converted.takes_format(FACTS.model_copy(update=change))


async def test_a_large_recording_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(LARGE)
    async with started("tests.fakes.azure") as url:
        credential = SpeechCredential("north", "north", url, "key")
        speech = AzureSpeech([credential], api_version="2025-10-15", timeout=60)
        facts = FACTS.model_copy(update={"size": LARGE})
        with at_most(8 * MEGABYTE), pytest.raises(FormatNotTaken):
            await hear(AzureFast(speech, FAST), path, facts)
        await speech.aclose()
        async with httpx.AsyncClient() as client:
            calls = (await client.get(f"{url}/__calls")).json()
    assert [call["bytes"] for call in calls["calls"]] == [LARGE]


async def test_an_answer_that_does_not_end_is_not_kept(azure: Azure, audio: Path) -> None:
    fast = AzureFast(azure.speech, FAST)
    endless = {"body": " " * MEGABYTE, "repeat": 300, "undone": True}
    azure.fakes[0].fault(**endless)
    with at_most(2 * MAX_ANSWER_BYTES + 16 * MEGABYTE), pytest.raises(ProviderBroken):
        await hear(fast, audio)
    azure.fakes[0].fault(status=429, headers={"retry-after": "3"}, **endless)
    with at_most(16 * MEGABYTE), pytest.raises(ProviderBusy) as raised:
        await hear(fast, audio)
    assert raised.value.retry_after == 3
