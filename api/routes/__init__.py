"""One file of routes per noun."""

from typing import Final

from api.routes import documents, events, health, jobs, memos, transcripts, uploads
from api.routes.credits import router as credits_router

ROUTERS: Final = (
    uploads.router,
    memos.router,
    transcripts.router,
    jobs.router,
    events.router,
    credits_router,
    health.router,
    documents.router,
)
"""Every router, in the order of the documentation."""
