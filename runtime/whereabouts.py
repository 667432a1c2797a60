"""Which Temporal server a command of a data folder speaks to."""

from contracts.errors import Unavailable
from runtime.data_folder import read_running
from runtime.settings import Settings
from runtime.settings_groups import TemporalSettings


class NothingRuns(Unavailable):
    """No `up` runs on the folder, and no server is named."""

    code = "nothing_runs"


def temporal_of(settings: Settings) -> TemporalSettings:
    """The server TEMPORAL_ADDRESS names, else that of the `up` which runs on the folder.

    Raises:
        NothingRuns: there is neither.
    """
    if "address" in settings.temporal.model_fields_set:
        return settings.temporal
    running = read_running(settings.data_dir)
    if running is None:
        raise NothingRuns(
            f"nothing runs on {settings.data_dir}: start it with `voicekeep up`, or set "
            "TEMPORAL_ADDRESS"
        )
    return settings.temporal.model_copy(
        update={"address": running.temporal, "namespace": running.namespace}
    )
