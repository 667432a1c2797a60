"""Supabase Realtime's HTTP side: takes broadcasts, and keeps what listeners would get.

Assumes of it what Supabase's guide to Broadcast says: ``POST /realtime/v1/api/broadcast`` with the
project's key as ``apikey``, a body ``{"messages": [{topic, event, payload, private}]}``, 202 with
an empty body; 401 for a wrong key, 422 for messages of another shape. A topic has no
``realtime:`` before it.

    python -m tests.fakes.supabase_realtime --port 8093 --key service-key
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.fakes.alone import main
from tests.fakes.http_wire import Request, Response, Wire, json_response

FIELDS = {"topic", "event", "payload", "private"}


class FakeRealtime:
    """The service.

    Attributes:
        told: the messages in the order they came.
    """

    def __init__(self, key: str | None = None, log: Path | None = None) -> None:
        self._key = key
        self.told: list[dict[str, Any]] = []
        self.wire = Wire(self._answer, log)

    async def _answer(self, request: Request) -> tuple[Response, dict[str, Any]]:
        if (request.method, request.path) != ("POST", "/realtime/v1/api/broadcast"):
            return json_response({"message": "not found"}, 404), {}
        if self._key is not None and request.headers.get("apikey") != self._key:
            return json_response({"message": "Unauthorized"}, 401), {}
        messages = json.loads(request.body).get("messages", [])
        if not messages or any(set(message) != FIELDS for message in messages):
            return json_response({"errors": {"messages": ["is invalid"]}}, 422), {}
        self.told += messages
        return Response(202, b"", {}), {"messages": len(messages)}


if __name__ == "__main__":
    sys.exit(main("Supabase Realtime", lambda key, log: FakeRealtime(key, log).wire))
