"""The HTTP session under Azure's blob client: no proxies of the environment, bounded answers.

Imported when it is first needed: aiohttp takes 0.2 s to load.
"""

from typing import Final

import aiohttp

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""A page of a listing; files do not come this way."""


class BoundedResponse(aiohttp.ClientResponse):
    """A response whose body is cut off where it gets too long to be one."""

    async def read(self) -> bytes:
        """The beginning of the body; the connection of a longer one is closed."""
        body = bytearray()
        async for chunk in self.content.iter_any():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                self.close()
                break
        self._body = bytes(body[:MAX_ANSWER_BYTES])
        return self._body


def open_session() -> aiohttp.ClientSession:
    """A session for the running loop; whoever gets it closes it."""
    return aiohttp.ClientSession(
        response_class=BoundedResponse,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )
