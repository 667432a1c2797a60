"""What Supabase Storage answers, read with care: refusals, entries of a listing, tokens.

Almost every refusal is an HTTP 400 with the real status as a text in its body,
``{"statusCode": "404", "error": "not_found", "message": …}``; what stands before Supabase answers
in its own way.
"""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx

from contracts.audio import StoredFile

if TYPE_CHECKING:
    from storage3.exceptions import StorageApiError

SIGNED_UPLOAD_SECONDS: Final = 7200.0
"""What Supabase gives a signed upload when it does not say otherwise."""
PLACEHOLDER: Final = ".emptyFolderPlaceholder"
"""What Supabase's own pages leave in a folder."""
MALFORMED: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What reading an answer of another shape raises."""

_OUT_OF_RANGE: Final = frozenset({"InvalidRange", "invalid_range"})
_NO_FILE: Final = frozenset({"not_found", "Not found", "NoSuchKey"})


class Refused(NamedTuple):
    """What an error body says."""

    status: int
    code: str
    message: str

    @property
    def no_file(self) -> bool:
        """Whether it is about a file that is not there, and not about a bucket or an address."""
        return self.status == HTTPStatus.NOT_FOUND and self.code in _NO_FILE

    @property
    def out_of_range(self) -> bool:
        """Whether the file ends before the range begins."""
        said = {self.code, self.message}
        return self.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or bool(
            _OUT_OF_RANGE & said
        )


def of_client(error: "StorageApiError") -> Refused:
    """What an exception of storage3 says."""
    status = int(error.status) if str(error.status).isdecimal() else HTTPStatus.BAD_REQUEST
    return Refused(status, str(error.code), str(error.message))


def of_body(status: int, body: bytes) -> Refused:
    """What a body says; what is no JSON has the status it came with."""
    with suppress(*MALFORMED, RecursionError):
        said: Mapping[str, Any] = json.loads(body)
        given = str(said.get("statusCode", status))
        code = str(said.get("error", said.get("code", "")))
        return Refused(int(given) if given.isdecimal() else status, code, str(said.get("message")))
    return Refused(status, "", "")


def headers_of(error: BaseException) -> Mapping[str, str]:
    """The headers of the answer behind an exception of the client."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, httpx.HTTPStatusError):
            return found.response.headers
        found = found.__cause__ or found.__context__
    return {}


def listed(folder: str, entry: Mapping[str, Any]) -> StoredFile | str | None:
    """An entry of a listing: a file, the path of a folder, or none of our files."""
    path = f"{folder}/{entry['name']}" if folder else str(entry["name"])
    if entry["id"] is None:
        return path
    if entry["name"] == PLACEHOLDER:
        return None
    written = datetime.fromisoformat(entry["updated_at"])
    return StoredFile(
        key=path, size=int(entry["metadata"]["size"]), modified_at=written.timestamp()
    )


def expiry(token: str) -> datetime:
    """When a signed upload ends, as its token says."""
    with suppress(*MALFORMED, OverflowError):
        claims = token.split(".")[1]
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return datetime.fromtimestamp(said["exp"], UTC)
    return datetime.now(UTC) + timedelta(seconds=SIGNED_UPLOAD_SECONDS)
