"""The connection to Temporal, and the one plugin that client, worker and replayer share.

What the plugin holds (converter, codec, sandbox, failure rules) therefore cannot differ between the
process that starts a job, the one that runs it and the one that replays it.
"""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfigProfile
from temporalio.plugin import SimplePlugin
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig, RPCError
from temporalio.worker.workflow_sandbox import SandboxRestrictions

from contracts.errors import Unavailable
from runtime.payload_codec import codec_for
from runtime.settings import environment
from runtime.settings_groups import TemporalSettings
from runtime.settings_values import PayloadKey
from runtime.temporal_failures import FailureInterceptor
from runtime.workflow_runner import SandboxRunner

PASSED_THROUGH: Final = ("contracts", "activities", "structlog")
"""Modules workflows share with the process instead of importing them anew for every run."""

CONNECT_TIMEOUT: Final = timedelta(seconds=5)
RPC_RETRIES: Final = RetryConfig(
    initial_interval_millis=50,
    max_interval_millis=500,
    max_elapsed_time_millis=3_000,
    max_retries=5,
)
"""A request that waits on Temporal is answered within seconds, with 503 when need be."""

FIRST_WAIT_SECONDS: Final = 0.1
LONGEST_WAIT_SECONDS: Final = 10.0

log = structlog.get_logger()


def converter(keys: Sequence[PayloadKey] = ()) -> DataConverter:
    """Pydantic JSON; sealed, failure messages and stack traces included, when there are keys."""
    codec = codec_for(keys)
    if codec is None:
        return pydantic_data_converter
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def make_plugin(
    keys: Sequence[PayloadKey] = (), *, restrictions: SandboxRestrictions | None = None
) -> SimplePlugin:
    """The plugin for ``Client.connect`` and ``Replayer``.

    A worker takes it over from its client: giving it to both would apply it twice.

    Args:
        keys: from TEMPORAL_PAYLOAD_KEYS.
        restrictions: of the workflow sandbox; tests hand in stricter ones.
    """
    rules = (restrictions or SandboxRestrictions.default).with_passthrough_modules(*PASSED_THROUGH)
    return SimplePlugin(
        "voicekeep",
        data_converter=converter(keys),
        interceptors=[FailureInterceptor()],
        workflow_runner=SandboxRunner(restrictions=rules),
    )


async def connect(
    settings: TemporalSettings,
    *,
    lazy: bool = False,
    runtime: Runtime | None = None,
    env: Mapping[str, str] | None = None,
) -> Client:
    """A client with the plugin in it.

    Address, namespace, API key, TLS and gRPC metadata are Temporal's own TEMPORAL_* names, so that
    Temporal Cloud needs nothing but the environment.

    Args:
        lazy: connect at the first call; such a client cannot run a worker.
        runtime: from ``runtime.metrics``.
        env: instead of the process's environment.

    Raises:
        Unavailable: nothing answers there (never when lazy).
    """
    options = _profile(settings, env).to_client_connect_config()
    options.setdefault("target_host", settings.address)
    try:
        return await Client.connect(
            plugins=[make_plugin(settings.payload_keys)],
            lazy=lazy,
            runtime=runtime,
            retry_config=RPC_RETRIES,
            connect_timeout=CONNECT_TIMEOUT,
            **options,
        )
    except (RuntimeError, RPCError) as error:
        raise Unavailable("Temporal does not answer", retry_after=1) from error


async def connect_when_up(settings: TemporalSettings, *, runtime: Runtime | None = None) -> Client:
    """A client for a worker: tries until the server and its namespace are there."""
    pause = FIRST_WAIT_SECONDS
    while True:
        try:
            client = await connect(settings, runtime=runtime)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=client.namespace)
            )
        except (Unavailable, RPCError) as error:
            status = error.status.name if isinstance(error, RPCError) else "NO_CONNECTION"
            log.info("temporal.awaited", address=settings.address, status=status, pause=pause)
        else:
            return client
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_WAIT_SECONDS)


def _profile(settings: TemporalSettings, env: Mapping[str, str] | None) -> ClientConfigProfile:
    names = dict(environment() if env is None else env)
    # What was set when the settings were built wins: --temporal-address, or a test's own values.
    for field in settings.model_fields_set & {"address", "namespace", "tls"}:
        names[f"TEMPORAL_{field.upper()}"] = getattr(settings, field)
    if settings.api_key is not None:
        names["TEMPORAL_API_KEY"] = settings.api_key.get_secret_value()
    return ClientConfigProfile.load(
        # A file of this machine's user is read only when it is named.
        disable_file="TEMPORAL_CONFIG_FILE" not in names,
        override_env_vars=names,
    )
