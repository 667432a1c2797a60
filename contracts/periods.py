"""Days to sum things up over."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from contracts.errors import InvalidInput

DEFAULT_DAYS: Final = 30
_LAST: Final = date.max - timedelta(days=1)


class Period(NamedTuple):
    """Days of UTC, both included."""

    first: date
    last: date

    @property
    def since(self) -> datetime:
        """The moment it begins."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def until(self) -> datetime:
        """The moment after it."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC)


def period(first: date | None, last: date | None, *, today: date, most: int) -> Period:
    """The days that are asked for: those up to today, the last thirty, when nothing is said.

    Args:
        most: days there may be.

    Raises:
        InvalidInput: there are more, or none.
    """
    last = last or today
    if last > _LAST:
        raise InvalidInput("`to` is too far away")
    if first is None:
        first = date.fromordinal(max(last.toordinal() - DEFAULT_DAYS + 1, 1))
    days = (last - first).days + 1
    if not 1 <= days <= most:
        raise InvalidInput(f"`from` must not be after `to`, nor more than {most} days before it")
    return Period(first, last)
