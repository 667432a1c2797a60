"""Sessions of users who sign in with a token of a vendor: what they are called, what they open."""

from datetime import datetime
from typing import Final

from contracts.api_keys import Scope
from contracts.values import Value

SESSION_ISSUER: Final = "urn:voicekeep:sessions"
SESSION_AUDIENCE: Final = "voicekeep"
SESSION_SCOPES: Final = frozenset({Scope.SPEECH})
"""A session opens what reads aloud and nothing else: whoever holds a token of the vendor has one,
and nobody has asked him who he is."""

LONGEST_VENDOR_TOKEN: Final = 512
"""Characters; several times the longest that OpenAI has given out."""


class Session(Value):
    """What a user signs further requests with.

    Attributes:
        token: a bearer token.
    """

    user_id: str
    token: str
    expires_at: datetime
