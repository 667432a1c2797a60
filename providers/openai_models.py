"""What a server of OpenAI's API says of its models (``GET /v1/models``, ``shutdown_date``)."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

import structlog

from contracts.errors import ProviderBroken, ProviderFailure
from contracts.models import ModelServer, shutdown_dates
from providers import failures
from providers.vendor_http import VendorHttp

PROVIDER: Final = "openai"
VENDOR_URL: Final = "https://api.openai.com/v1"
MAX_BYTES: Final = 4 * 1024 * 1024
SECONDS: Final = 10.0

log = structlog.get_logger(__name__)


async def announced(
    servers: Sequence[ModelServer], *, seconds: float = SECONDS
) -> Sequence[tuple[str, date]]:
    """The models in use that are going to be shut down, and when; a server that is away says none.

    Args:
        seconds: bound of each call; the servers are asked at once.
    """

    async def ask(server: ModelServer) -> Sequence[tuple[str, date]]:
        try:
            return sorted((await of_server(server, seconds=seconds)).items())
        except ProviderFailure as failure:
            log.info("model.shutdown_unknown", models=list(server.models), code=failure.code)
            return ()

    told = await asyncio.gather(*(ask(server) for server in servers))
    return [each for some in told for each in some]


async def of_server(server: ModelServer, *, seconds: float) -> Mapping[str, date]:
    """When which of the server's models that are used here is shut down, as far as it says.

    Args:
        seconds: bound of the call.

    Raises:
        ProviderFailure: it does not answer, or refuses.
    """
    key = server.key.get_secret_value()
    headers = {"authorization": f"Bearer {key}"} if key else {}
    http = VendorHttp(PROVIDER)
    try:
        answer = await http.call(
            "GET",
            f"{server.url or VENDOR_URL}/models",
            seconds=seconds,
            max_bytes=MAX_BYTES,
            headers=headers,
        )
    finally:
        await http.aclose()
    if answer.refused:
        raise failures.of_status(PROVIDER, answer.status, headers=answer.headers)
    try:
        listed = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise ProviderBroken(f"{PROVIDER}'s list of models cannot be read") from error
    return shutdown_dates(listed, server.models)
