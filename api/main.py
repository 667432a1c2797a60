"""The HTTP app; nothing is opened before it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api.admission import on_unrouted
from api.dependencies import Jobs, Opening
from api.description import DESCRIPTION, TAGS, VERSION, describe
from api.errors import on_failure, on_invalid_request
from api.measures import Measures
from api.middleware import REQUEST_ID_HEADER, RequestContext
from api.patience import Patience
from api.ports import CreditsElsewhere, SpeechEncoder, VendorTokens
from api.routes import ROUTERS
from api.tus import ANSWER_HEADERS, REQUEST_HEADERS
from contracts.errors import Failure
from runtime.settings import Settings

CORS_HEADERS: Final = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "X-API-Key",
    "X-Internal-API-Key",
    "X-Request-ID",
    "X-Service-Key",
    *REQUEST_HEADERS,
)
EXPOSED_HEADERS: Final = (
    "Location",
    "Retry-After",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    REQUEST_ID_HEADER,
    *ANSWER_HEADERS,
)


def create_app(
    settings: Settings,
    *,
    jobs: Jobs | None = None,
    elsewhere: CreditsElsewhere | None = None,
    vendor_tokens: VendorTokens | None = None,
    encoder: SpeechEncoder | None = None,
) -> FastAPI:
    """The app over one set of settings.

    Args:
        settings: read once, in the root.
        jobs: who starts workflows; Temporal, unless a test hands in its own.
        elsewhere: the credits service, when the settings name one.
        vendor_tokens: who knows the tokens that users sign in with; none: nobody does.
        encoder: makes files of speech while it is spoken; none: nothing does.
    """
    measures = Measures()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        opening = Opening(
            settings,
            measures,
            jobs,
            elsewhere=elsewhere,
            vendor_tokens=vendor_tokens,
            encoder=encoder,
        )
        async with opening:
            app.state.opening = opening
            yield

    app = FastAPI(
        title="Voicekeep",
        summary="Durable voice jobs",
        description=DESCRIPTION,
        version=VERSION,
        openapi_tags=TAGS,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        lifespan=lifespan,
        middleware=[
            _cors(settings),
            Middleware(RequestContext, measures=measures),
            Middleware(Patience, bounds=settings.connections),
        ],
        exception_handlers={
            Failure: on_failure,
            RequestValidationError: on_invalid_request,
            HTTPException: on_unrouted,
        },
        # Its spans and log records would carry request values; ours carry none.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    for router in ROUTERS:
        app.include_router(router)
    describe(app)
    return app


def _cors(settings: Settings) -> Middleware:
    return Middleware(
        CORSMiddleware,
        allow_origins=settings.server.cors_origins,
        allow_credentials=True,
        allow_methods=("GET", "HEAD", "POST", "PATCH", "DELETE"),
        allow_headers=CORS_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )
