"""Azure's speech to text against its stand-in: fast and batch transcription, and their circuits."""

import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from structlog.testing import capture_logs

from activities.batch_ports import BatchTranscriber
from activities.ports import Transcriber
from contracts.audio import AudioFacts
from contracts.batch import BatchPhase, VendorJob, staging_key
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
from contracts.transcript import Transcript, join_parts
from providers.azure_batch import AzureBatch, BatchOptions
from providers.azure_fast import MAX_ANSWER_BYTES, AzureFast, FastOptions
from providers.azure_speech import LONGEST_REST, OUT_SECONDS, AzureSpeech, SpeechCredential
from tests.fakes.alone import started
from tests.fakes.azure import FakeAzure
from tests.fakes.http_wire import Request, Response, Wire
from tests.fakes.listening import made_up
from tests.media.memory import MEGABYTE, at_most
from tests.media.recordings import recordings, tone, wav
from tests.media.samples import memo_facts, sample

LARGE = 96 * MEGABYTE
LOCALES = ("de-DE", "en-GB", "fr-FR")
SECONDS = 12.0
FACTS = AudioFacts(
    container="wav",
    codec="pcm_s16le",
    seconds=SECONDS,
    sample_rate=16_000,
    channels=1,
    size=int(SECONDS * 32_000) + 44,
)
FAST = FastOptions(
    locales=LOCALES, speakers=10, phrases=("Voicekeep",), max_bytes=250_000_000, max_seconds=6900
)
OPERATION = "memo-1f0e:transcribe-batch"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Azure(NamedTuple):
    """Three resources, the first two in one region, and what speaks to them."""

    speech: AzureSpeech
    fakes: list[FakeAzure]
    clock: Clock

    @property
    def calls(self) -> list[list[Any]]:
        """Keys of the calls that came to each."""
        return [[call.get("key", "refused") for call in fake.calls] for fake in self.fakes]


REGIONS = ("north", "north", "south")


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    fakes = [FakeAzure({f"key-{number}"}) for number in range(3)]
    credentials = [
        SpeechCredential(
            name=f"{region}-{number}",
            region=region,
            endpoint=await fake.start(),
            key=f"key-{number}",
        )
        for number, (region, fake) in enumerate(zip(REGIONS, fakes, strict=True))
    ]
    clock = Clock()
    speech = AzureSpeech(credentials, api_version="2025-10-15", timeout=20, clock=clock)
    yield Azure(speech, fakes, clock)
    await speech.aclose()
    for fake in fakes:
        await fake.aclose()


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("azure") / "audio.wav"
    path.write_bytes(wav(tone(SECONDS)))
    return path


@pytest.fixture
async def link(audio: Path) -> AsyncIterator[str]:
    """Address of the audio, for the vendor to fetch."""

    async def answer(_: Request) -> tuple[Response, dict[str, Any]]:
        return Response(200, audio.read_bytes(), {"content-type": "audio/wav"}), {}

    wire = Wire(answer)
    yield f"{await wire.start()}/audio.wav?sig=secret-of-the-link"
    await wire.aclose()


async def hear(
    engine: Transcriber,
    path: Path,
    facts: AudioFacts = FACTS,
    *,
    languages: Sequence[str] = ("en-US",),
    diarization: bool = True,
    after: float = 0,
) -> Transcript:
    stream = engine.transcribe(
        path, facts, languages=languages, diarization=diarization, after=after
    )
    parts = [part async for part in stream]
    return join_parts(parts, facts.seconds)


def batch_of(azure: Azure, staging_url: str = "http://127.0.0.1:1/account") -> BatchTranscriber:
    options = BatchOptions(
        locales=LOCALES, speakers=10, max_bytes=1_000_000_000, staging_url=staging_url
    )
    return AzureBatch(azure.speech, options)


# --- Fast transcription ---------------------------------------------------------------------------


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


# --- Credentials and their circuits ---------------------------------------------------------------


async def test_each_tier_uses_its_credential(azure: Azure, audio: Path) -> None:
    await hear(AzureFast(azure.speech, FAST), audio)
    await hear(AzureFast(azure.speech, FAST, choose=AzureSpeech.other_region), audio)
    await hear(AzureFast(azure.speech, FAST, converted=True), audio)
    assert azure.calls == [["key-0", "key-0"], [], ["key-2"]]


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_a_refused_credential_is_out_loudly_and_the_next_one_serves(
    azure: Azure, audio: Path, status: int
) -> None:
    fast = AzureFast(azure.speech, FAST)
    azure.fakes[0].fault(status=status, undone=True)
    with capture_logs() as logs, pytest.raises(ProviderBusy) as raised:
        await hear(fast, audio)
    assert raised.value.code == "credential_out"
    [entry] = [each for each in logs if each["event"] == "azure.credential_out"]
    assert (entry["log_level"], entry["resource"]) == ("error", "north-0")
    assert "key-0" not in str(logs)
    await hear(fast, audio)
    await hear(fast, audio)
    assert azure.calls == [["refused"], ["key-1", "key-1"], []]


async def test_a_credential_that_was_out_is_tried_again_after_a_while(
    azure: Azure, audio: Path
) -> None:
    azure.fakes[0].fault(status=401, undone=True)
    fast = AzureFast(azure.speech, FAST)
    with pytest.raises(ProviderBusy):
        await hear(fast, audio)
    azure.clock.now += OUT_SECONDS
    await hear(fast, audio)
    assert len(azure.fakes[0].calls) == 2


async def test_when_every_credential_is_out_the_tier_is_and_nobody_is_called(
    azure: Azure, audio: Path
) -> None:
    for fake in azure.fakes:
        fake.fault(status=401, undone=True)
    fast = AzureFast(azure.speech, FAST)
    kinds = []
    for _ in range(4):
        with pytest.raises(ProviderFailure) as raised:
            await hear(fast, audio)
        kinds.append(type(raised.value))
    assert kinds == [ProviderBusy, ProviderBusy, ProviderOut, ProviderOut]
    assert [len(calls) for calls in azure.calls] == [1, 1, 1]


async def test_a_tier_in_another_region_is_out_when_there_is_no_other(
    azure: Azure, audio: Path
) -> None:
    azure.fakes[2].fault(status=403, undone=True)
    other = AzureFast(azure.speech, FAST, choose=AzureSpeech.other_region)
    for _ in range(2):
        with pytest.raises(ProviderOut):
            await hear(other, audio)
    assert [len(calls) for calls in azure.calls] == [0, 0, 1]


async def test_a_credential_that_was_told_to_wait_rests_so_long_and_no_longer(
    azure: Azure, audio: Path
) -> None:
    fast = AzureFast(azure.speech, FAST)
    azure.fakes[0].fault(status=429, headers={"retry-after": "40"}, undone=True)
    with pytest.raises(ProviderBusy) as first:
        await hear(fast, audio)
    azure.clock.now += 15
    with pytest.raises(ProviderBusy) as second:
        await hear(fast, audio)
    assert (first.value.retry_after, second.value.retry_after) == (40, 25)
    await hear(AzureFast(azure.speech, FAST, choose=AzureSpeech.other_region), audio)
    azure.clock.now += 25
    await hear(fast, audio)
    assert [len(calls) for calls in azure.calls] == [2, 0, 1]


async def test_nobody_makes_a_credential_rest_for_hours(azure: Azure, audio: Path) -> None:
    azure.fakes[0].fault(status=429, headers={"retry-after": "86400"}, undone=True)
    with pytest.raises(ProviderBusy):
        await hear(AzureFast(azure.speech, FAST), audio)
    with pytest.raises(ProviderBusy) as raised:
        azure.speech.first()
    assert raised.value.retry_after == LONGEST_REST


async def test_a_busy_vendor_keeps_its_credential(azure: Azure, audio: Path) -> None:
    fast = AzureFast(azure.speech, FAST)
    for status in (500, 503, 429):
        azure.fakes[0].fault(status=status, undone=True)
        with pytest.raises(ProviderBusy):
            await hear(fast, audio)
    await hear(fast, audio)
    assert len(azure.fakes[0].calls) == 4


async def test_no_failure_repeats_what_the_vendor_said(azure: Azure, audio: Path) -> None:
    body = '{"code": "say key-0", "message": "the key is key-0", "innerError": {"code": "K y"}}'
    azure.fakes[0].fault(status=400, body=body, undone=True)
    with capture_logs() as logs, pytest.raises(FormatNotTaken) as raised:
        await hear(AzureFast(azure.speech, FAST), audio)
    assert "key-0" not in f"{raised.value}{logs}{azure.speech.first()}"


# --- Batch transcription --------------------------------------------------------------------------


async def test_a_job_waits_runs_and_gives_what_was_said(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await batch.submit(OPERATION, link, FACTS, languages=["en-US"], diarization=True)
    phases = [(await batch.state(job)).phase for _ in range(3)]
    assert phases == [BatchPhase.WAITING, BatchPhase.RUNNING, BatchPhase.SUCCEEDED]
    part = await batch.results(job, FACTS, languages=["en-US"])
    transcript = join_parts([part], SECONDS)
    said = made_up(SECONDS)
    assert transcript.text == " ".join(each.text for each in said)
    assert [(w.text, w.offset, w.duration) for w in transcript.words] == [
        word for each in said for word in each.words
    ]
    assert [u.speaker for u in transcript.utterances] == [1, 2, 1]
    assert transcript.languages == ("en-US",)


async def test_a_job_is_asked_for_as_the_settings_say(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    await batch.submit(OPERATION, link, FACTS, languages=["de-CH", "en"], diarization=True)
    made = azure.fakes[0].calls[0]["made"]
    assert (made["displayName"], made["contentUrls"], made["locale"]) == (
        OPERATION,
        [link],
        "de-CH",
    )
    assert made["properties"] == {
        "timeToLiveHours": 48,
        "wordLevelTimestampsEnabled": True,
        "displayFormWordLevelTimestampsEnabled": True,
        "punctuationMode": "DictatedAndAutomatic",
        "profanityFilterMode": "None",
        "channels": [0],
        "diarization": {"enabled": True, "maxSpeakers": 10},
        "languageIdentification": {
            "candidateLocales": ["de-CH", "en-GB"],
            "mode": "Continuous",
        },
    }


@pytest.mark.parametrize(
    ("change", "languages", "diarization"),
    [({"channels": 2}, ["en"], True), ({"seconds": 14_401.0}, ["en"], True), ({}, ["en"], False)],
)
async def test_speakers_are_told_apart_in_mono_of_four_hours_at_most(
    azure: Azure, link: str, change: dict[str, Any], languages: list[str], *, diarization: bool
) -> None:
    facts = FACTS.model_copy(update=change)
    await batch_of(azure).submit(
        OPERATION, link, facts, languages=languages, diarization=diarization
    )
    properties = azure.fakes[0].calls[0]["made"]["properties"]
    assert "diarization" not in properties
    assert "languageIdentification" not in properties


async def test_how_long_to_wait_before_asking_again_is_passed_on(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    azure.fakes[0].batch.retry_after = 45
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert [(await batch.state(job)).retry_after for _ in range(3)] == [45, 45, None]


@pytest.mark.parametrize(
    "fault",
    [
        {"cut": "answer"},
        {"cut": "body"},
        {"body": ""},
        {"body": '{"self": "https://x.example/"}'},
        {"status": 504},
    ],
)
async def test_a_submission_whose_answer_was_lost_is_found_before_it_is_bought_again(
    azure: Azure, link: str, fault: dict[str, Any]
) -> None:
    batch = batch_of(azure)
    assert list(await batch.find(OPERATION)) == []
    azure.fakes[0].fault(call="submit", **fault)
    with pytest.raises(ProviderBusy):
        await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    [made] = azure.fakes[0].batch.jobs
    assert await batch.find(OPERATION) == [VendorJob(id=made, credential="north-0")]


async def test_only_jobs_of_the_very_operation_are_found_whatever_the_vendor_lists(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    name = "memo-it's:1"
    for operation in (OPERATION, f"{OPERATION}.2", name):
        await batch.submit(operation, link, FACTS, languages=[], diarization=True)
    assert len(await batch.find(OPERATION)) == 1
    assert len(await batch.find(name)) == 1
    address = f"{azure.fakes[0].url}/speechtotext/transcriptions?api-version=2025-10-15"
    async with httpx.AsyncClient() as client:
        whole = await client.get(address, headers={"ocp-apim-subscription-key": "key-0"})
    assert len(whole.json()["values"]) == 3
    azure.fakes[0].fault(call="transcriptions$", body=whole.text)
    assert len(await batch.find(OPERATION)) == 1


async def test_a_job_is_found_by_whichever_credential_made_it_over_all_pages(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    azure.fakes[2].batch.page = 2
    for _ in range(5):
        azure.fakes[2].batch.submit(
            {
                "contentUrls": [link],
                "locale": "en-US",
                "displayName": OPERATION,
                "properties": {"timeToLiveHours": 6},
            }
        )
    found = await batch.find(OPERATION)
    assert [job.id for job in found] == list(azure.fakes[2].batch.jobs)
    assert {job.credential for job in found} == {"south-2"}


async def test_nothing_is_said_to_be_absent_while_one_resource_cannot_be_asked(
    azure: Azure,
) -> None:
    azure.fakes[2].fault(status=503, undone=True)
    with pytest.raises(ProviderBusy):
        await batch_of(azure).find(OPERATION)


async def test_a_credential_that_is_out_sees_no_jobs_and_hinders_no_other(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    for fake in azure.fakes[:2]:
        fake.fault(status=401, undone=True)
    assert list(await batch.find(OPERATION)) == []
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert job.credential == "south-2"
    azure.fakes[2].fault(status=401, undone=True)
    with pytest.raises(ProviderOut):
        await batch.find(OPERATION)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("InvalidAudioFormat", FormatNotTaken),
        ("AudioLengthLimitExceeded", TooLongForProvider),
        ("EmptyAudioFile", NoSpeech),
        ("InternalError", ProviderBroken),
    ],
)
@pytest.mark.parametrize("where", ["fail", "fail_file"])
async def test_a_failed_job_and_a_failed_file_say_why(
    azure: Azure, link: str, where: str, code: str, failure: type[ProviderFailure]
) -> None:
    batch = batch_of(azure)
    setattr(azure.fakes[0].batch, where, code)
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)

    async def follow() -> None:
        while not (await batch.state(job)).done:
            pass
        await batch.results(job, FACTS, languages=[])

    with pytest.raises(ProviderFailure) as raised:
        await follow()
    assert type(raised.value) is failure
    assert code in str(raised.value)
    assert "sig" not in str(raised.value)


async def finished(batch: BatchTranscriber, link: str) -> VendorJob:
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    while not (await batch.state(job)).done:
        pass
    return job


async def test_results_are_read_over_all_pages(azure: Azure, link: str) -> None:
    azure.fakes[0].batch.page = 1
    batch = batch_of(azure)
    assert (await batch.results(await finished(batch, link), FACTS, languages=[])).utterances
    assert sum(call["operation"] == "files" for call in azure.fakes[0].calls) == 2


async def test_results_come_from_known_places_alone_and_the_key_goes_to_its_resource_alone(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    await batch.results(job, FACTS, languages=[])
    content = [call for call in azure.fakes[0].calls if call["operation"] == "content"]
    assert {call["key"] for call in content} == {"key-0"}

    elsewhere = azure.fakes[0].url.replace("127.0.0.1", "localhost")
    azure.fakes[0].results_url = elsewhere
    with pytest.raises(ProviderBroken, match="not its own"):
        await batch.results(job, FACTS, languages=[])
    await batch_of(azure, f"{elsewhere}/account").results(job, FACTS, languages=[])
    content = [call for call in azure.fakes[0].calls if call["operation"] == "content"]
    assert [call["key"] for call in content[2:]] == [None, None]


@pytest.mark.parametrize(
    "place",
    [
        "http://a.blob.core.windows.net",
        "https://blob.core.windows.net.evil.example",
        "https://evilblob.core.windows.net.",
        "https://user@a.blob.core.windows.net",
        "file:///etc/passwd",
        "//127.0.0.1",
        "http://[::1",
        "http://169.254.169.254",
    ],
)
async def test_no_other_place_is_asked_for_results(azure: Azure, link: str, place: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    azure.fakes[0].results_url = place
    with pytest.raises(ProviderBroken, match="not its own"):
        await batch.results(job, FACTS, languages=[])


async def test_a_next_page_at_another_address_is_not_asked_for(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    strayed = '{"values": [], "@nextLink": "http://127.0.0.1:9/files"}'
    azure.fakes[0].fault(call="files$", body=strayed)
    with pytest.raises(ProviderBroken, match="not its own"):
        await batch.results(job, FACTS, languages=[])


async def test_lists_that_never_end_are_given_up(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    again = f'{{"values": [], "@nextLink": "{azure.fakes[0].url}/again"}}'
    azure.fakes[0].fault(times=1000, call="files$|again$", body=again, status=200)
    with pytest.raises(ProviderBroken, match="does not end"):
        await batch.results(job, FACTS, languages=[])


async def test_a_job_is_deleted_finished_or_not_once_or_again(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    await batch.delete(job)
    await batch.delete(job)
    assert not azure.fakes[0].batch.jobs
    azure.fakes[0].fault(call="DELETE", status=404, undone=True)
    await batch.delete(job)
    with pytest.raises(ProviderBroken) as raised:
        await batch.state(job)
    assert raised.value.code == "not_at_vendor"
    assert azure.speech.first().name == "north-0"


async def test_a_job_of_a_credential_that_is_configured_no_more_is_out_of_reach(
    azure: Azure,
) -> None:
    with pytest.raises(ProviderOut):
        await batch_of(azure).state(VendorJob(id="x", credential="east-1"))


async def test_a_refused_submission_takes_the_credential_out_and_the_next_one_serves(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    azure.fakes[0].fault(status=403, undone=True)
    with pytest.raises(ProviderBusy) as raised:
        await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert raised.value.code == "credential_out"
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert job.credential == "north-1"


async def test_nothing_of_the_link_is_in_what_comes_back(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    part = await batch.results(job, FACTS, languages=[])
    assert "secret-of-the-link" not in f"{job!r}{part!r}"


def test_the_staged_file_has_a_name_of_ours_on_every_try() -> None:
    assert staging_key(OPERATION, "wav") == "memo-1f0e-transcribe-batch.wav"
    assert staging_key("../a b/..", "w/a") == "a-b.wa"
    keys = {staging_key(f"{OPERATION}.{number}", "wav") for number in range(9)}
    assert len(keys) == 9
    assert all(one != other for one, other in itertools.pairwise(sorted(keys)))
