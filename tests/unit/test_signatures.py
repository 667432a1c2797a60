"""First bytes: what is taken, what is refused, and in which words."""

from pathlib import Path

import pytest

from contracts.errors import UnsupportedMedia
from contracts.signatures import CONTAINERS, HEAD_BYTES, after_tag, sniff
from tests.media.bad_media import Bad, not_audio, with_cover
from tests.media.disguises import Disguise, disguises
from tests.media.recordings import amr, tone, wav

MPEG_FRAME = b"\xff\xfb\x90\x64" + bytes(413)
AAC_FRAME = b"\xff\xf1\x50\x80\x04\x1f\xfc" + bytes(25)
TAG = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)

TAKEN = {
    "m4a": (b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00isomiso2mp41", "mov"),
    "mp4": (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", "mov"),
    "mov": (b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  ", "mov"),
    "3gp": (b"\x00\x00\x00\x18ftyp3gp4\x00\x00\x02\x003gp43gp6", "mov"),
    "a brand of its own that is compatible": (
        b"\x00\x00\x00\x18ftypODD \x00\x00\x02\x00ODD mp42",
        "mov",
    ),
    "old quicktime": (b"\x00\x00\x03\x00moov\x00\x00\x00\x6cmvhd", "mov"),
    "mp3": (MPEG_FRAME * 3, "mp3"),
    "mp3 of one frame": (MPEG_FRAME, "mp3"),
    "mp3 behind a tag": (TAG + MPEG_FRAME * 2, "mp3"),
    "mp3 behind two tags": (TAG + TAG + MPEG_FRAME * 2, "mp3"),
    "mp3 behind a padded tag": (TAG + bytes(300) + MPEG_FRAME * 2, "mp3"),
    "mp3 behind a long tag": (with_cover(MPEG_FRAME, HEAD_BYTES)[:HEAD_BYTES], "mp3"),
    "aac": (AAC_FRAME * 3, "aac"),
    "aac behind a tag": (TAG + AAC_FRAME * 3, "aac"),
    "flac": (b"fLaC\x00\x00\x00\x22\x10\x00\x10\x00", "flac"),
    "flac behind a tag": (TAG + b"fLaC\x00\x00\x00\x22\x10\x00\x10\x00", "flac"),
    "ogg": (b"OggS\x00\x02" + bytes(20) + b"\x01\x13OpusHead", "ogg"),
    "wav": (wav(tone(0.1)), "wav"),
    "rf64": (b"RF64\xff\xff\xff\xffWAVEds64\x1c\x00\x00\x00", "wav"),
    "webm": (bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d"), "matroska"),
    "amr": (amr(3), "amr"),
    "amr wide-band": (b"#!AMR-WB\n\x04" + bytes(17), "amr"),
    "aiff": (b"FORM\x00\x00\x10\x00AIFFCOMM\x00\x00\x00\x12", "aiff"),
    "wma": (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + bytes(8), "asf"),
    "caf": (b"caff\x00\x01\x00\x00desc\x00\x00", "caf"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_container_that_is_taken_is_named_by_its_first_bytes(name: str) -> None:
    head, container = TAKEN[name]
    assert sniff(head) == container


def test_every_container_that_can_be_named_has_an_extension_a_type_and_a_demuxer() -> None:
    assert {container for _, container in TAKEN.values()} == set(CONTAINERS)
    assert len({each.extension for each in CONTAINERS.values()}) == len(CONTAINERS)
    assert all(each.media_type.startswith("audio/") for each in CONTAINERS.values())


@pytest.mark.parametrize("bad", list(not_audio()), ids=lambda bad: bad.name)
def test_what_is_no_audio_is_refused(bad: Bad) -> None:
    with pytest.raises(UnsupportedMedia):
        sniff(bad.content[:HEAD_BYTES])


@pytest.mark.parametrize(
    "disguise",
    [
        each
        for each in disguises(Path("/recordings/other.m4a"))
        if not each.name.endswith(("m4a brand", "riff"))
    ],
    ids=lambda disguise: disguise.name,
)
def test_a_disguised_playlist_is_refused_by_its_first_bytes(disguise: Disguise) -> None:
    with pytest.raises(UnsupportedMedia):
        sniff(disguise.content[:HEAD_BYTES])


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "empty"),
        (bytes(100), "empty"),
        (b"#EXTM3U\n", "text"),
        ("#EXTM3U\n".encode("utf-16"), "text"),
        ("\ufeff  <MPD>größer</MPD>".encode(), "text"),
        (b"#!AMR\n#EXTM3U\n", "text"),
        (b"PK\x03\x04" + bytes(30), "zip"),
        (b"\x7fELF\x02" + bytes(30), "program"),
    ],
)
def test_a_refusal_says_what_the_file_looks_like(head: bytes, words: str) -> None:
    with pytest.raises(UnsupportedMedia, match=words):
        sniff(head)


def test_a_text_that_is_cut_in_the_middle_of_a_letter_is_still_text() -> None:
    with pytest.raises(UnsupportedMedia, match="text"):
        sniff("Stück für Stück: ö".encode()[:-1])


def test_a_tag_full_of_words_does_not_make_a_recording_text() -> None:
    lyrics = b"USLT\x00\x00\x07\x76\x00\x00\x03eng\x00" + b"la la " * 170
    tag = b"ID3\x04\x00\x00\x00\x00\x08\x20" + lyrics[: 8 * 128 + 32]
    assert sniff(tag + MPEG_FRAME * 3) == "mp3"


def test_the_audio_behind_a_tag_begins_where_the_tag_says() -> None:
    picture = with_cover(b"", 70_000)
    assert after_tag(picture[:HEAD_BYTES]) == len(picture)
    assert after_tag(MPEG_FRAME) == 0
