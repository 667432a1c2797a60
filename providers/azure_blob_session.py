"""The HTTP session under Azure's blob client: no proxies of the environment, short answers.

Imported when it is first needed: aiohttp takes 0.2 s to load.
"""

from typing import Final

import aiohttp

MAX_ANSWER_BYTES: Final = 64 * 1024
"""What blob storage says of a written or removed blob has no body; its errors are short."""


class ShortResponse(aiohttp.ClientResponse):
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
        response_class=ShortResponse,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )
