"""What a client needs to send a recording straight to storage."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from contracts.values import Value


class SignedUpload(Value):
    """One request that stores one file, for whoever holds it, until it expires.

    The address is a secret while it lasts: it is answered to its owner and is in no log, history or
    error. Sent with these headers and the file as its body, it stores the file under the key it
    was signed for, whole or not at all, and nothing else.

    Attributes:
        url: with the signature in it.
        method: of HTTP.
        headers: to be sent as they are.
        expires_at: from then on storage refuses it.
    """

    url: str = Field(repr=False)
    method: Literal["PUT", "POST"] = "PUT"
    headers: dict[str, str] = Field({}, repr=False)
    expires_at: datetime
