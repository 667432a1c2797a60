"""Somebody's webhook endpoint: keeps what comes, verified by libraries of others.

Assumes of receivers what Standard Webhooks 1.0 says: they verify the signature over
``id.timestamp.body``, take each ``webhook-id`` once, and answer 2xx within 15 seconds.

    python -m tests.fakes.webhook_receiver --port 8091 --key whsec_…
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from openai import OpenAI
from standardwebhooks.webhooks import Webhook

from tests.fakes.alone import main
from tests.fakes.http_wire import Request, Response, Wire, json_response


class WebhookReceiver:
    """The endpoint.

    Args:
        secret: verified with when there is one; a wrong signature is answered 401.

    Attributes:
        received: ids and bodies in the order they came, refused ones too.
        answers: statuses (and headers) of the next answers; then 204 for ever.
    """

    def __init__(self, secret: str | None = None, log: Path | None = None) -> None:
        self.secret = secret
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.came = asyncio.Event()
        self.wire = Wire(self._answer, log)

    async def start(self) -> str:
        return await self.wire.start()

    async def aclose(self) -> None:
        await self.wire.aclose()

    @property
    def ids(self) -> list[str]:
        return [event for event, _ in self.received]

    async def _answer(self, request: Request) -> tuple[Response, dict[str, Any]]:
        if self.secret is not None and not verified(request, self.secret):
            return json_response({"error": "wrong signature"}, 401), {}
        event = request.headers.get("webhook-id", "")
        self.received.append((event, json.loads(request.body)))
        self.came.set()
        status, headers = self.answers.pop(0) if self.answers else (204, {})
        return Response(status, b"", headers), {"id": event}


def verified(request: Request, secret: str) -> bool:
    """Whether both libraries take the signature."""
    try:
        Webhook(secret).verify(request.body, dict(request.headers))
        OpenAI(api_key="none").webhooks.verify_signature(
            request.body, request.headers, secret=secret
        )
    except Exception:  # noqa: BLE001 - each library raises what it likes
        return False
    return True


if __name__ == "__main__":
    sys.exit(main("A webhook endpoint", lambda secret, log: WebhookReceiver(secret, log).wire))
