"""What the speech activities need, as Protocols."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from contracts.audio import OwnedKey
from contracts.speech import Piece, SpeechCapabilities, SpeechFormat, Spoken, Timing
from contracts.speech_job import KeptPart, SpeechFile, SpeechReady


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


class LanguageGuess(Protocol):
    """Finds out which language a text is in."""

    async def language(self, text: str) -> str | None:
        """Primary subtag; none when it is not clear."""


class Speech(Protocol):
    """Files and parts, inside a transaction; ``store/speech.py`` says what each method raises."""

    async def find(self, file_id: str, user_id: str) -> SpeechFile | None:
        """A file of the user's own."""

    async def ready(
        self,
        file_id: str,
        user_id: str,
        made: SpeechReady,
        *,
        key: str,
        sha256: str | None,
        tier: str,
        timings: Sequence[Timing],
        keep_seconds: float,
    ) -> bool:
        """Say that the file is there; false when nobody waits for it any more."""

    async def failed(self, file_id: str, user_id: str, code: str, message: str) -> bool:
        """Say that it could not be made; false when it was made, or is gone."""

    async def drop_parts(self, file_id: str, user_id: str) -> tuple[OwnedKey, ...]:
        """Take the parts of a file out of sight; returns what was stored."""

    async def expired(self, *, limit: int) -> Sequence[tuple[str, str]]:
        """Ids and owners of files whose time is over, of everybody."""

    async def remove_expired(self, file_id: str, user_id: str) -> tuple[OwnedKey, ...]:
        """Remove it, unless somebody has used it since."""

    async def cleaned(self) -> None:
        """Say that what nobody has used for long was removed just now."""

    async def use_part(self, scope: str, part_hash: str, file_id: str) -> KeptPart | None:
        """A part that was spoken before, for one more file."""

    async def use_parts(self, scope: str, hashes: Sequence[str], file_id: str) -> frozenset[str]:
        """Which of them were spoken before; all of those serve one more file."""

    async def keep_part(self, scope: str, user_id: str, file_id: str, part: KeptPart) -> bool:
        """Keep a part; false when an equal one is there, which stays."""

    async def parts(self, scope: str, hashes: Sequence[str]) -> dict[str, KeptPart]:
        """Parts by their hash; those that are not there are missing."""

    async def unused_parts(
        self, *, older_than_seconds: float, limit: int
    ) -> Sequence[tuple[str, str]]:
        """Scopes and hashes of parts nobody used for so long."""

    async def remove_lost(self, scope: str, part: KeptPart) -> tuple[OwnedKey, ...]:
        """Remove a part whose samples are not there, unless it was bought anew since."""

    async def remove_unused(
        self, scope: str, part_hash: str, *, older_than_seconds: float
    ) -> tuple[OwnedKey, ...]:
        """Remove a part, unless somebody has used it since."""
