"""Every timeout and every retry, named once.

An activity is retried by Temporal for as long as its failure is not final; what is final is decided
where the failure is made (``contracts/errors.py``). So no policy here counts a vendor's tries.
"""

from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy

SHORT_TRY: Final = timedelta(seconds=3)
"""One try of a short step: one database transaction."""

SHORT_STEP: Final = timedelta(seconds=6)
"""A short step as a local activity, all tries together: below the workflow task's own time-out."""

SHORT_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=1),
    maximum_attempts=4,
)

PATIENT: Final = timedelta(hours=24)
"""How long a dependency of ours (database, storage, ledger) may be away before a job gives up."""

PATIENT_TRY: Final = timedelta(seconds=30)

PATIENT_RETRY: Final = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(minutes=1),
)

FETCH_TRY: Final = timedelta(minutes=65)
"""Above what MEDIA_FETCH_TIMEOUT_SECONDS may be, with time to record how it ended."""

PROBE_TRY: Final = timedelta(minutes=3)
"""Fetching the file from storage and reading all its packets; 4 h of audio take about a second."""

COLLECT_TRY: Final = timedelta(minutes=5)
"""One look at a vendor's job, its results fetched included."""

BATCH: Final = timedelta(hours=24)
"""How long a vendor may take for a job; queueing alone can take half an hour."""

MOST_WAKES: Final = 16
"""So often an event of the vendor's makes a job look at once; then it waits as if there were none.
Each look costs history."""

DISCARD: Final = timedelta(minutes=5)
"""How long a memo that is transcribed waits for the vendor to delete what it was sent."""

HEADLINE_TRY: Final = timedelta(minutes=3)
HEADLINE_IN_ALL: Final = timedelta(minutes=15)
"""A memo without a headline is complete: this must not hold it back for long."""

WRITE_TRY: Final = timedelta(hours=1)
"""One try of something to be written: many calls, when what is to be read is long."""

BLUEPRINT_WAIT: Final = timedelta(minutes=15)
"""How long a memo waits for the memories of its blueprint; then it is complete without."""

CALL_MARGIN: Final = timedelta(seconds=60)
"""What an activity has beyond the vendor's own bound, to record how the call ended."""

CONVERSION: Final = timedelta(minutes=20)
"""At least this long for a conversion, whatever the length of the audio."""

LOCAL_SPEED: Final = 2.0
"""The slowest engine may take this many seconds for one second of audio."""

ERASE_TRY: Final = timedelta(minutes=10)
ERASE_HEARTBEAT: Final = timedelta(seconds=60)
HEAL_TRY: Final = timedelta(minutes=5)


def conversion_time(audio_seconds: float) -> timedelta:
    """Bound of one conversion of so much audio."""
    return max(CONVERSION, timedelta(seconds=audio_seconds))


def call_time(call_seconds: float, audio_seconds: float) -> timedelta:
    """Bound of one transcription: the vendor's, or what the slowest local engine needs."""
    slowest = timedelta(seconds=audio_seconds * LOCAL_SPEED)
    return max(timedelta(seconds=call_seconds), slowest) + CALL_MARGIN


WEBHOOK_TRY: Final = timedelta(seconds=25)
"""One attempt of each message of a step, all at once: 15 s each and the database around them."""

WEBHOOK_IN_ALL: Final = timedelta(days=7)
"""The whole schedule takes 75 hours, what endpoints ask for by ``Retry-After`` not counted."""
