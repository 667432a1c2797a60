"""Stands before a real server and passes everything on, so that the way there can go wrong."""

from typing import Any

import httpx

from tests.fakes.http_wire import Request, Response, Wire

_OF_THE_CONNECTION = {"host", "connection", "transfer-encoding", "content-length", "keep-alive"}


class Forwarding(Wire):
    """Passes requests on to another address; faults and counts as of any `Wire`."""

    def __init__(self, target: str) -> None:
        super().__init__(self._forward)
        self._client = httpx.AsyncClient(base_url=target, trust_env=False)

    async def _forward(self, request: Request) -> tuple[Response, dict[str, Any]]:
        answer = await self._client.request(
            request.method,
            request.path,
            params=httpx.QueryParams(request.query),
            headers=_kept(request.headers),
            content=request.body,
        )
        headers = _kept(answer.headers)
        if request.method == "HEAD":  # it has no body, and tells the length of one
            headers["content-length"] = answer.headers.get("content-length", "0")
        return Response(answer.status_code, answer.content, headers), {"bytes": len(request.body)}

    async def aclose(self) -> None:
        await super().aclose()
        await self._client.aclose()


def _kept(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _OF_THE_CONNECTION}
