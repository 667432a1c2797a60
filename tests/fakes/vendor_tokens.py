"""A vendor that knows some tokens, or is away; as ``providers/openai_tokens.py`` over a socket."""

from contracts.errors import Unavailable

GOOD = "sk-good"
"""What every token that is believed begins with."""


class KnownTokens:
    """Implements ``api.ports.VendorTokens``.

    Attributes:
        asked: how often.
        away: whether it does not answer.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.away = False
        self.revoked = set[str]()

    async def believed(self, token: str) -> bool:
        self.asked += 1
        if self.away:
            raise Unavailable("The vendor that knows these tokens does not answer")
        return token.startswith(GOOD) and token not in self.revoked

    async def aclose(self) -> None:
        """Nothing is open."""
