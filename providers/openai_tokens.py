"""Whether somebody's token is one of OpenAI's, or of another server that speaks its API.

``GET /v1/models`` costs nothing and wants any token that is good (openai 3.52): 401 for one that is
none. 403 is said to tokens that are real and may not ask that, and to whole countries: nobody is
signed in by it either.
"""

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from contracts.errors import ProviderFailure, Unavailable

if TYPE_CHECKING:
    from providers.vendor_http import VendorHttp

PROVIDER: Final = "openai"
OPENAI: Final = "https://api.openai.com/v1"
MAX_BYTES: Final = 4 * 1024 * 1024
"""Of the list of models; what is in it is not looked at."""

_REFUSED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class OpenAITokens:
    """Implements ``api.ports.VendorTokens``; nothing is tried again.

    Args:
        base_url: of the server, ``/v1`` included; none means OpenAI's.
        seconds: bound of one question.
    """

    def __init__(self, base_url: str | None, *, seconds: float) -> None:
        self._url = f"{base_url or OPENAI}/models"
        self._seconds = seconds
        self._http: VendorHttp | None = None

    async def believed(self, token: str) -> bool:
        """Whether the vendor takes the token.

        Raises:
            Unavailable: it does not say.
        """
        away = Unavailable("The vendor that knows these tokens does not answer")
        try:
            answer = await self._opened().call(
                "GET",
                self._url,
                seconds=self._seconds,
                max_bytes=MAX_BYTES,
                headers={"authorization": f"Bearer {token}"},
            )
        except ProviderFailure as failure:
            # What it said may quote the token.
            raise away from failure
        if answer.status in _REFUSED:
            return False
        if answer.status != HTTPStatus.OK:
            raise away
        return True

    async def aclose(self) -> None:
        """Close its connections."""
        if self._http is not None:
            await self._http.aclose()

    def _opened(self) -> "VendorHttp":
        if self._http is None:
            # A front that starts does not wait for what its first such question needs.
            from providers.vendor_http import VendorHttp  # noqa: PLC0415

            self._http = VendorHttp(PROVIDER)
        return self._http
