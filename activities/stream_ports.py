"""What the activities that listen to something live need, as Protocols."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart


class StreamTranscriber(Protocol):
    """One provider that transcribes what is still being said."""

    @property
    def provider(self) -> str:
        """Name of the provider in attempts and logs."""

    @property
    def capabilities(self) -> Capabilities:
        """What it takes and gives; a stream has no size and no length beforehand."""

    def transcribe_stream(
        self, audio: AsyncIterator[bytes], *, languages: Sequence[str], diarization: bool
    ) -> AsyncIterator[TranscriptPart]:
        """Yield what is heard, sentence by sentence, while it comes.

        The parts follow each other without a gap and end where the audio does.

        Args:
            audio: 16 kHz mono samples of 16 bits, little endian; asked for as fast as the provider
                listens.

        Raises:
            ProviderFailure: one of its classes; nothing yielded so far is lost.

        Closing the iterator, or cancelling it, ends the call to the vendor.
        """
