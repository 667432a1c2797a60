"""What is remembered of a request that came with an ``Idempotency-Key``."""

from typing import Any, Final

from contracts.values import Value

KEPT_SECONDS: Final = 24 * 3600.0
"""How long the same key gets the same answer."""


IN_USE: Final = "A request with this Idempotency-Key is still in flight"


class KeptAnswer(Value):
    """A request that came before with the same key.

    Attributes:
        fingerprint: digest of what was asked for.
        answer: what it was, or will be, answered.
        finished: whether the work is known to be under way; else its process may have died.
        busy: whether the first request may still be at work.
    """

    fingerprint: str
    answer: dict[str, Any]
    finished: bool
    busy: bool
