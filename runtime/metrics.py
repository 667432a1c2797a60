"""The Temporal SDK's runtime: its own metrics and its own log lines, where ours are."""

import logging
from typing import Final

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

CORE_LOGGER: Final = "temporalio.core"


def make_runtime(metrics_address: str | None = None) -> Runtime:
    """One per process, before the first client.

    Args:
        metrics_address: ``host:port`` on which ``/metrics`` of this process's Temporal client and
            workers is served; none serves nothing.
    """
    metrics = None
    if metrics_address is not None:
        metrics = PrometheusConfig(
            bind_address=metrics_address,
            counters_total_suffix=True,
            unit_suffix=True,
            durations_as_seconds=True,
        )
    forwarding = LogForwardingConfig(
        logger=logging.getLogger(CORE_LOGGER),
        append_target_to_name=False,
        append_log_fields_to_message=False,
    )
    levels = TelemetryFilter(core_level="WARN", other_level="ERROR")
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(filter=levels, forwarding=forwarding), metrics=metrics
        )
    )
