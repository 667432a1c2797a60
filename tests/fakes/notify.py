"""A notification service: takes ``POST /api/v1/notifications/send`` with ``X-Service-Key``.

Assumes of it what its own documentation says: ``channel``, ``appId``, ``recipient``, ``subject``,
``body`` and ``externalId`` in JSON; what comes again under an ``externalId`` is taken and not sent.

    python -m tests.fakes.notify --port 8092 --key service-key
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.fakes.alone import main
from tests.fakes.http_wire import Request, Response, Wire, json_response

FIELDS = {"channel", "appId", "recipient", "subject", "body", "externalId"}


class FakeNotify:
    """The service.

    Attributes:
        sent: what went out, by external id.
    """

    def __init__(self, key: str | None = None, log: Path | None = None) -> None:
        self._key = key
        self.sent: dict[str, dict[str, Any]] = {}
        self.wire = Wire(self._answer, log)

    async def _answer(self, request: Request) -> tuple[Response, dict[str, Any]]:
        if (request.method, request.path) != ("POST", "/api/v1/notifications/send"):
            return json_response({"message": "not found"}, 404), {}
        if self._key is not None and request.headers.get("x-service-key") != self._key:
            return json_response({"message": "wrong service key"}, 401), {}
        body = json.loads(request.body)
        if set(body) != FIELDS or body["channel"] != "email":
            return json_response({"message": "bad request"}, 400), {}
        again = body["externalId"] in self.sent
        self.sent.setdefault(body["externalId"], body)
        return json_response({"success": True}), {"id": body["externalId"], "again": again}


if __name__ == "__main__":
    sys.exit(main("A notification service", lambda key, log: FakeNotify(key, log).wire))
