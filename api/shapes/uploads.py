"""Bodies and answers about uploads."""

from typing import Annotated, Final

from pydantic import BaseModel, Field, StringConstraints

from api.shapes.fields import EXAMPLE_PATH, EXAMPLE_TIME, Answer, Body, Part, example

EXAMPLE_UPLOAD: Final = "9b2f3f6e-5a55-4a1f-8f3e-3a4c1d2b7e90"
MOST_BYTES: Final = 10**15
"""Bound of a number of bytes that means anything."""


class NewUpload(Body):
    """A recording that is about to be sent."""

    model_config = example({"filename": "memo.m4a", "mediaType": "audio/mp4", "bytes": 1_048_576})

    filename: Annotated[str, StringConstraints(min_length=1, max_length=255)] = Field(
        description="Its extension may name the stored file's; nothing else of it does.",
        examples=["memo.m4a"],
    )
    media_type: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="A claim: audio of a kind that is taken, or `application/octet-stream`. The "
        "first bytes decide.",
        examples=["audio/mp4"],
    )
    bytes: int = Field(
        gt=0, le=MOST_BYTES, description="Size of the whole file.", examples=[1_048_576]
    )


class TusFacts(Part):
    """The resumable protocol the address speaks: https://tus.io, version 1.0.0."""

    version: str
    extensions: list[str]
    max_size: int = Field(description="Bytes of the largest file.")


class UploadBegun(Answer):
    """Where the bytes go, and where the file will be."""

    file_path: str = Field(
        description="What `POST /memos` takes as `filePath`, at once or when the bytes are there.",
        examples=[EXAMPLE_PATH],
    )
    url: str = Field(
        description="Where the bytes go. With a signature in it: whoever has it may use it."
    )
    method: str = Field(description="Of the request with the bytes.", examples=["PATCH"])
    headers: dict[str, str] = Field(
        description="To be sent as they are; to this service beside `Authorization`."
    )
    expires_at: str = Field(description="Until then.", examples=[EXAMPLE_TIME])
    tus: TusFacts | None = Field(
        description="How to send it in pieces and go on after a break; null when the bytes go to "
        "storage directly, in one request."
    )


class KeptUpload(BaseModel):
    """What is kept under an ``Idempotency-Key``: nothing that is a secret."""

    id: str
    answer: UploadBegun


BEGUN_EXAMPLE: Final = {
    "success": True,
    "filePath": EXAMPLE_PATH,
    "url": f"http://127.0.0.1:8000/api/v1/uploads/tus/{EXAMPLE_UPLOAD}",
    "method": "PATCH",
    "headers": {
        "Content-Type": "application/offset+octet-stream",
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
    },
    "expiresAt": EXAMPLE_TIME,
    "tus": {"version": "1.0.0", "extensions": ["creation", "checksum"], "maxSize": 2_147_483_648},
}
