"""Bad files: each ends in a typed refusal, or is taken for what is really there."""

import asyncio
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from contracts.audio import AudioFacts, check_bounds
from contracts.errors import Failure, MediaRejected, UnsupportedMedia
from contracts.signatures import CONTAINERS
from providers.media_tools import MediaTools
from tests.media.bad_media import (
    Bad,
    absurd,
    cut_off,
    damaged,
    headers_only,
    made_by_ffmpeg,
    not_audio,
)
from tests.media.disguises import Disguise, disguises
from tests.media.recordings import encode, tone, write_wav

SEED: Final = 20_261_121
LONGEST: Final = 60.0
GOOD_SECONDS: Final = 2.0
REFUSALS: Final = (UnsupportedMedia, MediaRejected)
SAMPLED_BAD: Final = 12
SAMPLED_DISGUISES: Final = 12


def corpus(good: dict[str, Path], folder: Path) -> Iterator[Bad]:
    """Every bad file."""
    yield from not_audio()
    yield from headers_only(SEED)
    yield from cut_off(good, SEED)
    yield from damaged(good, SEED)
    yield from absurd()
    yield from made_by_ffmpeg(folder)


async def probed(tools: MediaTools, bad: Bad, folder: Path) -> tuple[Path, AudioFacts | None]:
    """What the probe makes of a file; none when it refuses it as it must."""
    path = folder / "bad"
    path.write_bytes(bad.content)
    try:
        facts = await tools.probe(path)
        check_bounds(facts, LONGEST)
    except REFUSALS:
        return path, None
    assert not bad.refused, f"{bad.name} was taken: {facts}"
    assert 0 < facts.seconds <= LONGEST, bad.name
    return path, facts


async def converted(tools: MediaTools, path: Path, facts: AudioFacts, folder: Path) -> float | None:
    """Seconds that come of it; none when it is refused, and then nothing is left."""
    target = folder / "out.wav"
    try:
        seconds = await tools.convert(
            path, target, facts, max_seconds=LONGEST, progress=lambda _: None
        )
    except REFUSALS:
        assert not target.exists()
        return None
    assert target.stat().st_size == pytest.approx(seconds * 32_000, abs=4096)
    target.unlink()
    return seconds


async def test_every_bad_file_is_refused_or_taken_for_what_is_there(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    taken = 0
    for bad in corpus(good, tmp_path):
        _, facts = await probed(tools, bad, tmp_path)
        taken += facts is not None
    assert taken > 10, "a corpus that is refused whole says nothing about damaged recordings"


@pytest.mark.parametrize("some", [SAMPLED_BAD, pytest.param(None, marks=pytest.mark.slow)])
async def test_what_is_taken_converts_or_is_refused_and_leaves_nothing(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path, some: int | None
) -> None:
    files = [bad for bad in corpus(good, tmp_path) if not bad.refused]
    if some is not None:
        files = random.Random(SEED).sample(files, some)
    done = 0
    for bad in files:
        path, facts = await probed(tools, bad, tmp_path)
        if facts is not None:
            seconds = await converted(tools, path, facts, tmp_path)
            done += seconds is not None
            assert seconds is None or seconds <= LONGEST, bad.name
    assert done
    assert not list(tools.work_folder.glob("*/tmp*"))


async def test_half_a_recording_is_half_as_long(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "half.mp3"
    content = good["mp3"].read_bytes()
    path.write_bytes(content[: len(content) // 2])
    facts = await tools.probe(path)
    assert facts.seconds == pytest.approx(GOOD_SECONDS / 2, abs=0.1)
    assert await converted(tools, path, facts, tmp_path) == pytest.approx(facts.seconds, abs=0.1)


async def test_a_recording_that_does_not_decode_is_corrupt(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    content = bytearray(good["m4a"].read_bytes())
    begin = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    content[begin:end] = random.Random(SEED).randbytes(end - begin)
    path = tmp_path / "noise.m4a"
    path.write_bytes(bytes(content))
    facts = await tools.probe(path)
    with pytest.raises(MediaRejected) as refusal:
        await tools.convert(
            path, tmp_path / "out.wav", facts, max_seconds=LONGEST, progress=lambda _: None
        )
    assert refusal.value.code == "audio_corrupt"


# --- Playlists that pretend ----------------------------------------------------------------------


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody else's recording, which must never be heard."""
    folder = tmp_path_factory.mktemp("planted")
    source = write_wav(folder / "plant.wav", tone(3, hertz=1000))
    return encode(source, folder / "plant.m4a", "-c:a", "aac", "-ar", "44100")


def sampled(planted: Path) -> list[Disguise]:
    return random.Random(SEED).sample(disguises(planted), SAMPLED_DISGUISES)


async def refused_everywhere(tools: MediaTools, disguise: Disguise, folder: Path) -> None:
    """Refused by the probe; and by the conversion, were it told that the probe took it."""
    path = folder / f"disguise.{disguise.extension}"
    path.write_bytes(disguise.content)
    with pytest.raises(REFUSALS):
        await tools.probe(path)
    for container in ("mov", "mp3", "wav"):
        facts = AudioFacts(
            container=container,
            codec="aac",
            seconds=3,
            sample_rate=44_100,
            channels=1,
            size=path.stat().st_size,
        )
        target = folder / "leak.wav"
        with pytest.raises(Failure):
            await tools.convert(path, target, facts, max_seconds=LONGEST, progress=lambda _: None)
        assert not target.exists(), disguise.name


async def test_no_disguised_playlist_gets_through_the_probe(
    tools: MediaTools, planted: Path, tmp_path: Path
) -> None:
    files = disguises(planted)
    assert len(files) >= 200
    for disguise in files:
        path = tmp_path / f"disguise.{disguise.extension}"
        path.write_bytes(disguise.content)
        with pytest.raises(REFUSALS):
            await tools.probe(path)


async def test_a_disguised_playlist_never_leaks_another_recording(
    tools: MediaTools, planted: Path, tmp_path: Path
) -> None:
    for disguise in sampled(planted):
        await refused_everywhere(tools, disguise, tmp_path)


@pytest.mark.slow
async def test_no_disguised_playlist_at_all_leaks_another_recording(
    tools: MediaTools, planted: Path, tmp_path: Path
) -> None:
    """Two at a time: the full set is eight hundred starts of ffmpeg."""
    gate = asyncio.Semaphore(2)

    async def one(number: int, disguise: Disguise) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        async with gate:
            await refused_everywhere(tools, disguise, folder)

    async with asyncio.TaskGroup() as group:
        for number, disguise in enumerate(disguises(planted)):
            group.create_task(one(number, disguise))


@pytest.mark.slow
def test_plain_ffmpeg_leaks_so_the_disguises_are_good_ones(planted: Path, tmp_path: Path) -> None:
    leaks: set[str] = set()
    for disguise in disguises(planted):
        path = tmp_path / f"disguise.{disguise.extension}"
        path.write_bytes(disguise.content)
        target = tmp_path / "leak.wav"
        command = ["ffmpeg", "-nostdin", "-v", "quiet", "-y", "-protocol_whitelist", "file"]
        command += ["-safe", "0"] if disguise.kind == "concat" else []
        command += ["-i", str(path), "-t", "5", str(target)]
        subprocess.run(command, check=False, timeout=60)
        if target.exists():
            if target.stat().st_size > 32_000:
                leaks.add(disguise.kind)
            target.unlink()
    assert {"hls", "dash", "concat"} <= leaks


def test_every_container_has_its_demuxer_in_the_whitelist() -> None:
    assert {kind.demuxer for kind in CONTAINERS.values()} == {
        *("mov", "mp3", "ogg", "wav", "flac", "matroska", "aac", "amr", "aiff", "asf", "caf")
    }
