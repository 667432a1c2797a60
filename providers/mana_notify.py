"""Mail by the notification service: ``POST /api/v1/notifications/send``.

Facts of the service: it takes ``{channel, appId, recipient, subject, body, externalId}`` with
``X-Service-Key`` and sends what comes twice under one ``externalId`` once. So whatever is not
known to have arrived may be sent again.
"""

import json
from typing import Final

from pydantic import SecretStr

from contracts.errors import ProviderBusy, ProviderFailure, ProviderOut
from contracts.notifications import Mail, NotificationState, Posted
from providers import failures
from providers.vendor_http import VendorHttp

PROVIDER: Final = "notify"
SECONDS: Final = 20.0
MAX_BYTES: Final = 64 * 1024


class ManaNotify:
    """The service at one address.

    Args:
        url: without a slash at its end.
        key: for ``X-Service-Key``; none sends none, and is refused.
        app_id: what this product is called there.
    """

    deduplicates: Final = True

    def __init__(
        self, url: str, key: SecretStr | None, app_id: str, *, seconds: float = SECONDS
    ) -> None:
        self._url = f"{url}/api/v1/notifications/send"
        self._key = key
        self._app_id = app_id
        self._seconds = seconds
        self._http = VendorHttp(PROVIDER)

    async def send(self, mail: Mail) -> Posted:
        """Hand it over; what the service does with it is its own."""
        headers = {"content-type": "application/json"}
        if self._key is not None:
            headers["x-service-key"] = self._key.get_secret_value()
        body = {
            "channel": "email",
            "appId": self._app_id,
            "recipient": mail.recipient,
            "subject": mail.subject,
            "body": mail.body,
            "externalId": mail.external_id,
        }
        try:
            answer = await self._http.call(
                "POST",
                self._url,
                seconds=self._seconds,
                max_bytes=MAX_BYTES,
                headers=headers,
                content=json.dumps(body).encode(),
            )
            if answer.refused:
                raise failures.of_status(PROVIDER, answer.status, headers=answer.headers)
        except ProviderFailure as failure:
            return _posted(failure)
        return Posted(state=NotificationState.SENT)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()


def _posted(failure: ProviderFailure) -> Posted:
    # A wrong key or address is mended by an operator; until then the mail waits.
    again = isinstance(failure, (ProviderBusy, ProviderOut))
    state = NotificationState.PENDING if again else NotificationState.FAILED
    return Posted(state=state, code=failure.code, retry_after=failure.retry_after)
