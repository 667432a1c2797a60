"""Where speech is, and where it is cut."""

import io
import itertools
import struct
import wave
from pathlib import Path

import pytest

from contracts.errors import FormatNotTaken
from providers.speech_cutting import (
    MAX_PART_SECONDS,
    PART_SECONDS,
    SpeechPart,
    next_part,
    quietest,
    speech_seconds,
    wav_samples,
)
from tests.media.recordings import hiss, tone, wav
from tests.media.samples import read_samples


def parts_of(pcm: bytes, start: float = 0.0) -> list[tuple[float, SpeechPart]]:
    """Every part with where it starts."""
    found = []
    file = io.BytesIO(wav(pcm))
    last = False
    while not last:
        part = next_part(file, start)
        found.append((start, part))
        start, last = part.end, part.last
    return found


@pytest.fixture(scope="module")
def reading() -> bytes:
    """Two and a half minutes of somebody reading."""
    return read_samples("memo.wav") * 6


def test_parts_follow_each_other_and_reach_the_end(reading: bytes) -> None:
    parts = parts_of(reading)
    for (_, before), (start, part) in itertools.pairwise(parts):
        assert start == before.end < part.end
    assert parts[-1][1].end == pytest.approx(len(reading) / 32_000)
    assert [part.last for _, part in parts] == [False] * (len(parts) - 1) + [True]


def test_a_part_ends_in_the_first_silence_after_its_time(reading: bytes) -> None:
    for start, part in parts_of(reading)[:-1]:
        spoken = part.segments[-1].end - part.segments[0].start
        assert PART_SECONDS - 1 <= spoken <= MAX_PART_SECONDS
        assert part.segments[-1].end <= part.end
        assert part.segments[0].start >= start


def test_the_same_start_gives_the_same_part_whatever_was_read_before(reading: bytes) -> None:
    parts = parts_of(reading)
    second = parts[1][1]
    assert next_part(io.BytesIO(wav(reading)), parts[0][1].end) == second


def test_all_speech_is_in_some_part(reading: bytes) -> None:
    in_parts = sum(len(each.pcm) for _, part in parts_of(reading) for each in part.segments)
    assert in_parts / len(reading) > 0.93


def test_speech_without_any_silence_is_cut_at_its_quietest_place() -> None:
    loud, quiet = tone(27, amplitude=9000), tone(0.2, amplitude=300)
    pcm = loud + quiet + tone(20, amplitude=9000)
    (_, first), *rest = parts_of(pcm)
    assert first.end == pytest.approx(27.1, abs=0.15)
    assert all(part.end - start <= MAX_PART_SECONDS + 1 for start, part in rest)


def test_an_hour_of_silence_gives_signs_of_life_and_no_speech() -> None:
    parts = parts_of(bytes(32_000 * 700))
    assert len(parts) == 3
    assert not any(part.segments for _, part in parts)


def test_an_end_in_the_middle_of_a_word_is_kept() -> None:
    pcm = read_samples("memo.wav")[: 32_000 * 4 + 222]
    (_, part), *_ = parts_of(pcm)
    assert part.last
    assert part.segments[-1].end == pytest.approx(len(pcm) / 32_000, abs=0.04)


@pytest.mark.parametrize("samples", [b"", b"\x00", bytes(100), bytes(32_000)])
def test_hardly_any_audio_is_a_part_without_speech(samples: bytes) -> None:
    [(_, part)] = parts_of(samples)
    assert part == SpeechPart(len(samples) // 2 / 16_000, last=True, segments=[])


def test_a_start_behind_the_end_is_the_end() -> None:
    [(_, part)] = parts_of(bytes(32_000), start=5.0)
    assert part == SpeechPart(5.0, last=True, segments=[])


@pytest.mark.parametrize(
    ("pcm", "least", "most"),
    [
        (bytes(320_000), 0, 0),
        (hiss(10, 1), 0, 0),
        (hiss(10, 300), 0, 0),
        (bytes(64_000) + read_samples("memo.wav"), 20, 24.8),
    ],
    ids=["silence", "dither", "hiss", "speech"],
)
def test_speech_is_told_from_silence_and_hiss(
    pcm: bytes, least: float, most: float, tmp_path: Path
) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(pcm))
    assert least <= speech_seconds(str(path)) <= most


def test_the_quietest_place_is_looked_for_near_the_end_alone() -> None:
    pcm = bytes(32_000) + tone(20) + tone(0.06, amplitude=10) + tone(3)
    assert quietest(pcm) / 32_000 == pytest.approx(21.03, abs=0.05)


def test_samples_are_found_behind_other_chunks_and_bounded_by_what_is_there() -> None:
    pcm = tone(0.1)
    plain = wav(pcm)
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\x00"
    assert wav_samples(io.BytesIO(plain)) == (44, len(pcm))
    assert wav_samples(io.BytesIO(plain[:36] + odd + plain[36:])) == (56, len(pcm))
    assert wav_samples(io.BytesIO(wav(pcm, claimed=10**9))) == (44, len(pcm))
    assert wav_samples(io.BytesIO(wav(pcm, claimed=0))) == (44, len(pcm))
    assert wav_samples(io.BytesIO(wav(pcm, claimed=100))) == (44, 100)


def test_a_file_without_samples_is_refused() -> None:
    with pytest.raises(FormatNotTaken):
        wav_samples(io.BytesIO(b"RIFF\x00\x00\x00\x00WAVEfmt \x00\x00\x00\x00"))


def test_the_library_of_waves_agrees(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(tone(0.5)))
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnframes()) == (16_000, 8000)
