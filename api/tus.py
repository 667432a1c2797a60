"""What every request of the TUS 1.0 protocol has in common."""

from email.utils import format_datetime
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from fastapi import Header, Path, Request

from api.admission import UserRoute
from api.dependencies import Services
from contracts import tus
from contracts.errors import Conflict, NotFound, PreconditionFailed, Unavailable
from contracts.ids import is_uuid
from contracts.upload_sessions import UploadSession

if TYPE_CHECKING:
    from store.resumable_disk import ResumableFiles

PATH_HEADER: Final = "X-File-Path"
"""Where the file will be: what ``POST /memos`` takes as ``filePath``."""

REQUEST_HEADERS: Final = (
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
)
ANSWER_HEADERS: Final = (
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    PATH_HEADER,
)
"""Headers of the protocol that pages of other origins may send, and read."""

_BYTES: Final = r"^[0-9]{1,15}$"

UploadId = Annotated[str, Path(description="Last part of the upload's address.")]
Version = Annotated[
    Literal["1.0.0"], Header(alias="Tus-Resumable", description="Version of the protocol.")
]
OffsetHeader = Annotated[
    str,
    Header(
        alias="Upload-Offset",
        pattern=_BYTES,
        description="Bytes that are there already: where these go on.",
    ),
]
LengthHeader = Annotated[
    str,
    Header(alias="Upload-Length", pattern=_BYTES, description="Bytes of the whole file."),
]
MetadataHeader = Annotated[
    str,
    Header(
        alias="Upload-Metadata",
        description="`filename` and `filetype`, each followed by its value in base64, with a comma "
        "between them.",
        examples=["filename bWVtby5tNGE=,filetype YXVkaW8vbXA0"],
    ),
]
ChecksumHeader = Annotated[
    str | None,
    Header(
        alias="Upload-Checksum",
        description="`sha256` or `sha1` and the digest of this body in base64. A body with it is "
        "kept whole or not at all.",
    ),
]


class TusRoute(UserRoute):
    """A route of the protocol: the token first, then the version."""

    async def enter(self, request: Request) -> None:
        """Let users in who speak the version that is spoken here.

        Raises:
            PreconditionFailed: they speak another one.
        """
        headers = request.scope["state"]["answer_headers"]
        headers["Tus-Resumable"] = tus.VERSION
        await super().enter(request)
        if request.headers.get("Tus-Resumable") != tus.VERSION:
            headers["Tus-Version"] = tus.VERSION
            raise PreconditionFailed(f"Tus-Resumable must be {tus.VERSION}")


class TusPieceRoute(TusRoute):
    """A route for the pieces of an upload that was begun, and counted then."""

    metered: ClassVar[bool] = False


class TusOptionsRoute(UserRoute):
    """A route that tells what is spoken here, to whoever speaks what."""


def resumable_of(services: Services) -> "ResumableFiles":
    """Where pieces are kept.

    Raises:
        Unavailable: ``not_configured``, recordings go to storage directly.
    """
    if services.resumable is None:
        raise Unavailable("Uploads go to storage directly", code="not_configured")
    return services.resumable


async def find_upload(services: Services, upload_id: str, user_id: str) -> UploadSession:
    """An upload of the user's own that takes pieces.

    Raises:
        NotFound: absent, expired, or somebody else's.
    """
    if is_uuid(upload_id):
        async with services.database.read() as tx:
            found = await tx.uploads.find(upload_id, user_id)
        if found is not None and not found.signed:
            return found
    raise NotFound


def standing(upload: UploadSession) -> dict[str, str]:
    """Headers that say how far an upload is."""
    return {
        "Upload-Offset": str(upload.received),
        "Upload-Expires": format_datetime(upload.expires_at, usegmt=True),
        PATH_HEADER: upload.key,
    }


def check_place(upload: UploadSession, offset: int) -> None:
    """Whether bytes that begin there can be taken.

    Raises:
        Conflict: ``offset_mismatch``; the client asks where the upload is and goes on from there.
    """
    if offset != upload.received:
        message = f"The upload goes on at byte {upload.received}"
        raise Conflict(message, code="offset_mismatch", extra={"offset": upload.received})
