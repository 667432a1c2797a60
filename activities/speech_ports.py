"""What the speech activities need, as Protocols."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from contracts.speech import Piece, SpeechCapabilities, SpeechFormat, Spoken


class Synthesizer(Protocol):
    """One engine that speaks."""

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""

    @property
    def capabilities(self) -> SpeechCapabilities:
        """What it takes and gives."""

    async def synthesize(self, piece: Piece, target: Path) -> Spoken:
        """Speak a part: raw samples (24 000 Hz, mono, signed 16 bit, little endian) in ``target``.

        Raises:
            ProviderFailure: one of its classes; what is in ``target`` then is worth nothing.

        Cancelling ends the call to the vendor.
        """


class Joiner(Protocol):
    """Makes one file of the samples of all parts."""

    async def join(
        self,
        parts: Sequence[Path],
        target: Path,
        form: SpeechFormat,
        *,
        tempo: float = 1.0,
        progress: Callable[[float], None],
    ) -> float:
        """Join samples and encode them, once; returns the seconds of the result.

        Sample-exact for wav, pcm and flac, unless ``tempo`` changes.

        Args:
            tempo: how much faster than the samples it is to be, their pitch kept; 0.25 to 4.
            progress: called with the seconds done, about once a second.

        Raises:
            Unavailable: no room on the disk, or no ffmpeg.
        """
