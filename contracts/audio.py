"""What is known about a recording, and the bounds of what is taken."""

from enum import StrEnum
from typing import Final

from contracts.errors import MediaRejected
from contracts.values import Value

MIN_SAMPLE_RATE: Final = 4_000
MAX_SAMPLE_RATE: Final = 192_000
MAX_CHANNELS: Final = 16
CONVERTED_RATE: Final = 16_000
CONVERTED_BYTES_PER_SECOND: Final = 2 * CONVERTED_RATE


class StoredFile(Value):
    """A file in storage.

    Attributes:
        key: storage key, ``{userId}/{memoId}/…``.
        size: bytes.
        sha256: hex digest of the content, when it is known without reading the file again.
        modified_at: seconds since 1970 of the last write.
    """

    key: str
    size: int
    sha256: str | None = None
    modified_at: float = 0.0


class MediaKind(StrEnum):
    """Why a file is stored: sent by a user, left by one activity for the next, or read aloud."""

    UPLOAD = "upload"
    WORK = "work"
    SPEECH = "speech"


class OwnedKey(Value):
    """A storage key with its owner."""

    key: str
    user_id: str


class AudioFacts(Value):
    """What the probe measured of the first audio stream.

    Attributes:
        container: name of the container by its first bytes (``mov``, ``mp3``, ``ogg``, ``wav``,
            ``flac``, ``matroska``, ``aac``, ``amr``, ``aiff``, ``asf``, ``caf``).
        codec: codec name as ffmpeg spells it, ``pcm_s16le``, ``aac``, ``opus``, …
        seconds: length measured over the packets, never the container's own claim.
        sample_rate: Hz.
        channels: number of channels.
        size: bytes of the file.
    """

    container: str
    codec: str
    seconds: float
    sample_rate: int
    channels: int
    size: int


def as_converted(facts: AudioFacts, size: int) -> AudioFacts:
    """Facts of the 16 kHz mono WAV made of a recording; its length stays the one measured first."""
    return facts.model_copy(
        update={
            "container": "wav",
            "codec": "pcm_s16le",
            "sample_rate": CONVERTED_RATE,
            "channels": 1,
            "size": size,
        }
    )


def check_bounds(facts: AudioFacts, max_seconds: float) -> None:
    """Refuse audio whose numbers are absurd or whose length is beyond the setting.

    A 40 KB file that says 1 Hz would otherwise become hours of audio and of credits.

    Raises:
        MediaRejected: ``audio_not_supported`` or ``audio_too_long``.
    """
    if not MIN_SAMPLE_RATE <= facts.sample_rate <= MAX_SAMPLE_RATE:
        message = f"Sample rate {facts.sample_rate} Hz is outside 4 000..192 000 Hz"
        raise MediaRejected(message, code="audio_not_supported")
    if not 1 <= facts.channels <= MAX_CHANNELS:
        message = f"{facts.channels} channels are outside 1..16"
        raise MediaRejected(message, code="audio_not_supported")
    if facts.seconds > max_seconds:
        message = f"The audio lasts {facts.seconds:.0f} s, more than the {max_seconds:.0f} s taken"
        raise MediaRejected(message, code="audio_too_long")
