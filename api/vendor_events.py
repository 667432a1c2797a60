"""Events of vendors: believed only so far that a job asks its vendor now instead of later.

Both doors follow Microsoft's pages: "Webhooks" of the speech to text REST API (the header
``X-MicrosoftSpeechServices-Signature`` is the base64 of the HMAC-SHA256 of the raw body) and
"Webhook event delivery" of Event Grid (a subscription is validated by sending its code back).
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from api.dependencies import Services
from contracts.errors import Unauthenticated, Unavailable
from contracts.outside import VENDOR_SIGNAL, VendorEvent

AZURE: Final = "azure"
MOST_OF_A_CALL: Final = 100
"""Event Grid delivers no more in one call unless it is asked to."""
LONGEST_NAME: Final = 100

CHALLENGE: Final = "challenge"
BLOB_CREATED: Final = "Microsoft.Storage.BlobCreated"
VALIDATION: Final = "Microsoft.EventGrid.SubscriptionValidationEvent"
_NOT_AN_END: Final = frozenset(
    {"transcriptioncreation", "transcriptionprocessing", "transcriptiondeletion", "ping"}
)
_UUID: Final = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_JOB: Final = re.compile(rf"/transcriptions/({_UUID})")
_RESULT: Final = re.compile(rf"/results/({_UUID})/([^/?#]+)")


class Event(NamedTuple):
    """Something a vendor tells of one of its jobs.

    Attributes:
        name: two of the same name are one event, told twice.
    """

    vendor_job: str
    name: str


def check_signature(body: bytes, signature: str | None, secret: SecretStr) -> None:
    """Whether the holder of the secret sent this very body.

    Raises:
        Unauthenticated: nobody did.
    """
    digest = hmac.digest(secret.get_secret_value().encode(), body, hashlib.sha256)
    if not hmac.compare_digest((signature or "").encode(), base64.b64encode(digest)):
        raise Unauthenticated("Missing or invalid signature")


def speech_events(body: bytes, name: str) -> Iterator[Event]:
    """What the body of a speech resource's webhook is about; its shape is not relied on."""
    if name.lower() in _NOT_AN_END:
        return
    for vendor_job in dict.fromkeys(_JOB.findall(body.decode(errors="replace"))):
        yield Event(vendor_job.lower(), name[:LONGEST_NAME])


def validation_code(events: list[Any]) -> str | None:
    """The code Event Grid wants to have back, when it asks whether it may deliver here."""
    for event in events:
        if isinstance(event, dict) and event.get("eventType") == VALIDATION:
            data = event.get("data")
            code = data.get("validationCode") if isinstance(data, dict) else None
            return code if isinstance(code, str) else None
    return None


def grid_events(events: list[Any]) -> Iterator[Event]:
    """Which jobs the results belong to that were just stored."""
    for event in events[:MOST_OF_A_CALL]:
        if isinstance(event, dict) and event.get("eventType") == BLOB_CREATED:
            found = _RESULT.search(json.dumps([event.get("subject"), event.get("data")]))
            if found is not None:
                file = found[2].partition('"')[0][:LONGEST_NAME]
                yield Event(found[1].lower(), f"BlobCreated:{file}")


async def wake(services: Services, event: Event) -> bool:
    """Let the job that waits for the vendor's ask it now; false when there is none, or it has.

    Raises:
        Unavailable: the job could not be told; the same event may be sent again.
    """
    database = services.database
    async with database.read() as tx:
        owner = await tx.vendor_jobs.owner(AZURE, event.vendor_job)
    if owner is None:
        return False
    async with database.write() as tx:
        if not await tx.vendor_jobs.first_event(AZURE, event.vendor_job, event.name):
            return False
    try:
        told = VendorEvent(vendor_job=event.vendor_job)
        return await services.jobs.signal(owner.job_id, VENDOR_SIGNAL, told)
    except Unavailable:
        async with database.write() as tx:
            await tx.vendor_jobs.forget_event(AZURE, event.vendor_job, event.name)
        raise
