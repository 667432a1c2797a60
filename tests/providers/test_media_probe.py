"""What the probe finds, and that it believes no header."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from contracts.audio import check_bounds
from contracts.errors import MediaRejected, UnsupportedMedia
from providers.media_probe import MediaProbe
from providers.media_tools import MediaTools
from providers.process_pool import ProcessPool
from tests.fakes import child_work
from tests.media.bad_media import absurd, claiming, with_cover
from tests.media.recordings import ENCODERS, amr, encode, looped, tone, wav, write_wav
from tests.media.samples import memo_facts, sample

MOST_GROWTH = 96 << 20  # bytes; an m4a keeps a table of its packets


@pytest.mark.parametrize("extension", ENCODERS)
async def test_every_container_is_measured(
    tools: MediaTools, good: dict[str, Path], extension: str
) -> None:
    facts = await tools.probe(good[extension])
    assert facts.container == ENCODERS[extension][0]
    assert facts.seconds == pytest.approx(2.0, abs=0.06)
    assert facts.channels == 1
    assert facts.size == good[extension].stat().st_size
    check_bounds(facts, max_seconds=3)


async def test_a_phone_recording_is_measured(tools: MediaTools) -> None:
    facts = await tools.probe(sample("memo.m4a"))
    assert (facts.container, facts.codec, facts.sample_rate) == ("mov", "aac", 44_100)
    assert facts.seconds == pytest.approx(memo_facts()["seconds"], abs=0.1)


async def test_the_name_of_a_file_means_nothing(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "not really.mp3; rm -rf.m3u8"
    path.write_bytes(good["wav"].read_bytes())
    assert (await tools.probe(path)).container == "wav"


async def test_amr_is_counted_by_its_frames(tools: MediaTools, tmp_path: Path) -> None:
    path = tmp_path / "call.amr"
    path.write_bytes(amr(150))
    facts = await tools.probe(path)
    assert (facts.codec, facts.seconds, facts.sample_rate) == ("amr_nb", 3.0, 8000)


async def test_hours_that_a_header_claims_are_not_believed(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    lying = {
        "m4a": claiming(good["m4a"].read_bytes(), 0x7FFFFFFF),
        "short.m4a": claiming(good["m4a"].read_bytes(), 1),
        "wav": wav(tone(2), claimed=0xFFFFFFFF),
        "unfinished.wav": wav(tone(2), claimed=0),
    }
    for name, content in lying.items():
        path = tmp_path / f"lying.{name}"
        path.write_bytes(content)
        assert (await tools.probe(path)).seconds == pytest.approx(2.0, abs=0.06), name


async def test_variable_bit_rate_does_not_mislead(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    flags = ("-c:a", "libmp3lame", "-q:a", "9", "-write_xing", "0")
    path = encode(good["wav"], tmp_path / "vbr.mp3", *flags)
    assert (await tools.probe(path)).seconds == pytest.approx(2.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("alac.m4a", ("-c:a", "alac")),
        ("fragmented.m4a", ("-c:a", "aac", "-movflags", "frag_keyframe+empty_moov")),
        ("speex.ogg", ("-c:a", "speex")),
        ("mulaw.wav", ("-c:a", "pcm_mulaw", "-ar", "8000")),
        ("gsm.wav", ("-c:a", "gsm_ms", "-ar", "8000")),
        ("adpcm.wav", ("-c:a", "adpcm_ms", "-ar", "8000")),
        ("float.mov", ("-c:a", "pcm_f64be")),
        ("stereo24.wav", ("-c:a", "pcm_s24le", "-ac", "2", "-ar", "48000")),
        ("vorbis.mka", ("-c:a", "libvorbis", "-ar", "44100")),
        ("flac.mka", ("-c:a", "flac")),
        ("ac3.mka", ("-c:a", "ac3")),
    ],
)
async def test_other_codecs_are_measured_too(
    tools: MediaTools,
    good: dict[str, Path],
    tmp_path: Path,
    name: str,
    options: tuple[str, ...],
) -> None:
    path = encode(good["wav"], tmp_path / name, *options)
    assert (await tools.probe(path)).seconds == pytest.approx(2.0, abs=0.25)


async def test_absurd_numbers_are_refused_at_once(tools: MediaTools, tmp_path: Path) -> None:
    path = tmp_path / "absurd.wav"
    for bad in absurd():
        path.write_bytes(bad.content)
        if not bad.refused:
            continue
        with pytest.raises(MediaRejected) as refusal:
            check_bounds(await tools.probe(path), max_seconds=3600)
        assert refusal.value.code in {"audio_not_supported", "audio_corrupt"}, bad.name


async def test_cover_art_of_64_mb_changes_nothing(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "cover.mp3"
    path.write_bytes(with_cover(good["mp3"].read_bytes(), 64 << 20))
    facts = await tools.probe(path)
    assert (facts.container, facts.size) == ("mp3", path.stat().st_size)
    assert facts.seconds == pytest.approx(2.0, abs=0.06)


async def test_text_behind_a_tag_longer_than_the_first_look_is_refused(
    tools: MediaTools, tmp_path: Path
) -> None:
    path = tmp_path / "polyglot.mp3"
    path.write_bytes(with_cover(b"#EXTM3U\nfile:/etc/hostname\n", 70_000))
    with pytest.raises(UnsupportedMedia, match="text"):
        await tools.probe(path)


async def test_zeros_that_follow_a_good_recording_add_nothing(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    for extension in ("mp3", "opus", "flac", "m4a"):
        path = tmp_path / f"padded.{extension}"
        path.write_bytes(good[extension].read_bytes() + bytes(100_000))
        facts = await tools.probe(path)
        assert facts.seconds == pytest.approx(2.0, abs=0.1), extension


async def test_a_probe_that_hangs_is_a_corrupt_file_within_its_bound(tmp_path: Path) -> None:
    endless = tmp_path / "endless.m4a"
    os.mkfifo(endless)
    pool = ProcessPool(workers=1)
    with pytest.raises(MediaRejected) as refusal:
        await MediaProbe(pool, seconds=0.5).probe(endless)
    assert refusal.value.code == "audio_corrupt"
    await pool.aclose()


async def test_a_probe_whose_child_is_killed_is_a_corrupt_file(
    tmp_path: Path, good: dict[str, Path]
) -> None:
    endless = tmp_path / "endless.m4a"
    os.mkfifo(endless)
    pool = ProcessPool(workers=1)
    child = await pool.run(child_work.who, seconds=10)
    probing = asyncio.create_task(MediaProbe(pool).probe(endless))
    await asyncio.sleep(0.3)
    os.kill(child, signal.SIGKILL)
    with pytest.raises(MediaRejected) as refusal:
        await probing
    assert refusal.value.code == "audio_corrupt"
    assert (await MediaProbe(pool).probe(good["wav"])).seconds == 2.0
    await pool.aclose()


async def test_probes_at_once_do_not_mix(tools: MediaTools, good: dict[str, Path]) -> None:
    wanted = [good[extension] for extension in ENCODERS] * 4
    found = await asyncio.gather(*(tools.probe(path) for path in wanted))
    assert [facts.size for facts in found] == [path.stat().st_size for path in wanted]


@pytest.mark.slow
async def test_four_hours_are_probed_in_flat_memory(tmp_path: Path, good: dict[str, Path]) -> None:
    long = {
        extension: looped(good[extension], tmp_path / f"long.{extension}", 7199)
        for extension in ("m4a", "mp3", "opus")
    }
    long["wav"] = write_wav(tmp_path / "long.wav", bytes(32_000 * 3600 * 4))
    pool = ProcessPool(workers=1, memory_bytes=1 << 30, warm=("av",))
    probe = MediaProbe(pool)
    for extension in long:
        await probe.probe(good[extension])
    before = await pool.run(child_work.loaded, seconds=10)
    for path in long.values():
        assert (await probe.probe(path)).seconds == pytest.approx(4 * 3600, rel=0.03)
    assert await pool.run(child_work.loaded, seconds=10) - before <= MOST_GROWTH
    await pool.aclose()
