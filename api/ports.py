"""What the front needs of storage and of a credits service, as Protocols."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Protocol

from contracts.audio import StoredFile
from contracts.reservations import RemoteBalance
from contracts.speech import SpeechFormat
from contracts.uploads import SignedUpload


class Files(Protocol):
    """Where recordings are kept; ``activities.ports.Files`` says what each method promises."""

    async def ping(self) -> None:
        """Return when something could be stored now. Raises Unavailable."""

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        """Store a stream whole or not at all. Raises InvalidInput, Unavailable."""

    async def find(self, key: str) -> StoredFile | None:
        """Size and time of a file, or none. Raises InvalidInput, Unavailable."""

    def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to and without ``end``. Raises NotFound, Unavailable."""

    async def delete(self, key: str) -> bool:
        """Remove a file; false when there was none. Raises InvalidInput, Unavailable."""


class SignedUploads(Protocol):
    """Storage that takes a file from a client itself (Supabase, Azure Blob)."""

    async def sign_upload(
        self, key: str, *, media_type: str, size: int, seconds: float
    ) -> SignedUpload:
        """One request by which its holder stores the file, and nothing else.

        Args:
            media_type: kept with the file.
            size: bytes the client said it will send. Storage need not hold the client to it:
                whoever uses the file looks at what is there.
            seconds: how long the request may be begun; storage may set a term of its own, which
                ``expires_at`` then says.

        Raises:
            InvalidInput: ``invalid_path``.
            Unavailable: storage is away.
        """


class CreditsElsewhere(Protocol):
    """A service that keeps the credits of users; a root hands it in."""

    async def balance(self, user_id: str) -> RemoteBalance:
        """What the user has, without what is reserved. Raises Unavailable."""

    async def use(
        self,
        user_id: str,
        amount: int,
        *,
        key: str,
        description: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Charge at once; the same key again charges nothing.

        Raises InsufficientCredits, Unavailable.
        """

    async def aclose(self) -> None:
        """Close its connections."""


class SpeechEncoder(Protocol):
    """Makes one file of speech while it is spoken; a root hands it in."""

    def encode(
        self, samples: AsyncIterator[bytes], form: SpeechFormat, *, tempo: float
    ) -> AsyncGenerator[bytes, None]:
        """Bytes of a file, never an empty piece, as soon as there are some.

        No faster than they are taken: what was not asked for is not read from ``samples``.

        Args:
            samples: 24 000 Hz, mono, signed 16 bit, little endian; what they raise comes out.
            tempo: how much faster than the samples it is to be, their pitch kept; 0.25 to 4.

        Raises:
            Unavailable: every encoder is at work, there is none, or it failed.

        Closing it ends the encoder.
        """

    async def aclose(self) -> None:
        """Remove what it works in."""


class VendorTokens(Protocol):
    """Says whether somebody's token is one of a vendor's; a root hands it in."""

    async def believed(self, token: str) -> bool:
        """Whether the vendor takes it. Raises Unavailable when it does not say."""

    async def aclose(self) -> None:
        """Close its connections."""
