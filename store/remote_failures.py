"""What storage of others says, in our words: never a signed address, a key of theirs or a body.

Whatever may be mended (an outage, a bucket that is missing, a key that is refused) is Unavailable:
a job waits for it as long as it may. What its operator has to mend is said at every refusal, as an
error in the log.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final

import structlog

from contracts.errors import Failure, InvalidInput, TooLarge, Unavailable
from contracts.retry_after import retry_after

AGAIN_SECONDS: Final = 5.0
MENDED_SECONDS: Final = 60.0
"""Somebody has to change a setting: asking sooner helps nobody."""

AWAY: Final = "storage_unavailable"
REFUSED: Final = "storage_refused"

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_KEYS: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_SETTINGS: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.UNSUPPORTED_MEDIA_TYPE})

log = structlog.get_logger()


class Words:
    """The failures of one storage.

    Args:
        store: its name in messages.
        settings: names of the settings that say where it is and who asks.
    """

    def __init__(self, store: str, settings: str) -> None:
        self._store = store
        self._settings = settings

    def away(self, what: str = "cannot be reached") -> Unavailable:
        """It does not serve now."""
        return Unavailable(f"{self._store} {what}", code=AWAY, retry_after=AGAIN_SECONDS)

    def silent(self, seconds: float) -> Unavailable:
        """No answer in time."""
        return self.away(f"did not answer within {seconds:.0f} s")

    def unreadable(self) -> Unavailable:
        """An answer of another shape than documented."""
        return self.away("gave an answer that cannot be read")

    def refused(self, status: int, code: object = None) -> Unavailable:
        """It is there and does not let us in, or has no such bucket."""
        log.error("storage.refused", store=self._store, status=status, code=_shown(code))
        return Unavailable(
            f"{self._store} refuses us with {status}{_named(code)}: check {self._settings}",
            code=REFUSED,
            retry_after=MENDED_SECONDS,
        )

    @contextmanager
    def examined(self) -> Iterator[None]:
        """A look at the storage: whatever is wrong is said with what to check."""
        try:
            yield
        except Unavailable as failure:
            if failure.code != AWAY:
                raise
            raise Unavailable(f"{failure.message}: check {self._settings}") from failure

    def of_status(
        self, status: int, *, code: object = None, headers: Mapping[str, str] | None = None
    ) -> Failure:
        """The failure a status stands for, where it is not the absence of a file.

        Args:
            code: the storage's own; shown when it looks like one.
            headers: for ``Retry-After``; names in lower case or a mapping that does not mind.
        """
        if status in _KEYS or status in _SETTINGS:
            return self.refused(status, code)
        if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return TooLarge(f"The file is larger than {self._store} takes")
        failure = self.away(f"answered {status}{_named(code)}")
        asked = retry_after(headers or {})
        failure.retry_after = AGAIN_SECONDS if asked is None else asked
        return failure


def no_key() -> InvalidInput:
    """What this storage has no name for."""
    return InvalidInput("Not a storage key", code="invalid_path")


def _shown(code: object) -> str | None:
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _named(code: object) -> str:
    shown = _shown(code)
    return f" ({shown})" if shown else ""
