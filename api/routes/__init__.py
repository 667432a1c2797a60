"""One file of routes per noun."""

from typing import Final

from api.routes import (
    api_keys,
    blueprints,
    documents,
    events,
    health,
    jobs,
    kept_reading,
    language,
    memories,
    memos,
    outside,
    retries,
    space_credits,
    speech,
    transcripts,
    upload_sessions,
    uploads,
    usage,
    user_events,
    vendor_events,
    webhook_endpoints,
    webhook_messages,
)
from api.routes.credits import router as credits_router

ROUTERS: Final = (
    uploads.router,
    *upload_sessions.ROUTERS,
    retries.router,
    memos.router,
    transcripts.router,
    language.router,
    memories.router,
    blueprints.router,
    speech.router,
    speech.polled,
    kept_reading.signing_in,
    kept_reading.router,
    kept_reading.polled,
    jobs.router,
    events.router,
    user_events.router,
    credits_router,
    space_credits.router,
    usage.router,
    api_keys.router,
    webhook_endpoints.router,
    webhook_messages.router,
    outside.router,
    vendor_events.router,
    health.router,
    documents.router,
)
"""Every router, in the order of the documentation."""
