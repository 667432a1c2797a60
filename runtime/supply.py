"""The Temporal server `voicekeep up` uses, fetched or built when there is none."""

import asyncio
import sys

from runtime.settings_groups import TemporalSettings
from runtime.temporal_server import TemporalServer, TemporalServerMissing, resolve


def server_for(settings: TemporalSettings) -> TemporalServer:
    """The server of these settings.

    Raises:
        TemporalServerMissing: there is none, and none can be had.
    """
    address = settings.address if "address" in settings.model_fields_set else None
    try:
        return resolve(address=address, cli=settings.cli)
    except TemporalServerMissing:
        # Half a second of imports, for the one start that needs them.
        from runtime.temporal_supply import provide  # noqa: PLC0415

        return asyncio.run(provide(address=address, cli=settings.cli, say=_say))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
