"""What is left to a principal of the requests it may make."""

from typing import Final, NamedTuple

WINDOW_SECONDS: Final = 60.0
"""In any stretch of this length a principal makes so many requests at most."""


class Allowance(NamedTuple):
    """What is left to a principal.

    Attributes:
        granted: whether this request may go on.
        limit: requests in a window.
        remaining: requests left now.
        reset: seconds until one more is free than now.
    """

    granted: bool
    limit: int
    remaining: int
    reset: float
