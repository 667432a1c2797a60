"""Samples taken by turns (A B A B), what is made of them, and the rows of the table."""

import statistics
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

Samples = Sequence[float]


class Round(NamedTuple):
    """Samples of the anchor and of ours, taken right after one another."""

    anchor: Samples
    ours: Samples


class Figure(NamedTuple):
    """The median over the rounds, and the lowest and highest round."""

    median: float
    low: float
    high: float


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        met: whether the target is reached; none for a figure without one.
    """

    what: str
    ours: str
    anchor: str
    result: str
    target: str = "–"
    met: bool | None = None


async def by_turns(
    rounds: int,
    anchor: Callable[[], Awaitable[Samples]],
    ours: Callable[[], Awaitable[Samples]],
) -> list[Round]:
    """Take samples A B A B …, so that both sides meet the same weather."""
    return [Round(await anchor(), await ours()) for _ in range(rounds)]


def over(rounds: Iterable[Round], figure: Callable[[Round], float]) -> Figure:
    """The median over the rounds of a figure of each."""
    figures = [figure(each) for each in rounds]
    return Figure(statistics.median(figures), min(figures), max(figures))


def share(samples: Samples, percent: float) -> float:
    """The sample that so many percent are not above."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def p50(samples: Samples) -> float:
    """The median."""
    return statistics.median(samples)


def p99(samples: Samples) -> float:
    """All but one in a hundred are not above it."""
    return share(samples, 99)


def ratio_row(
    what: str,
    rounds: Sequence[Round],
    of: Callable[[Samples], float],
    show: Callable[[float], str],
    *,
    most: float | None = None,
    least: float | None = None,
) -> Row:
    """A row whose result is ours divided by the anchor, round by round.

    Args:
        of: what is compared of each side's samples.
        show: spells one of them out with its unit.
        most: the target, where less is better.
        least: the target, where more is better.
    """
    ratio = over(rounds, lambda each: of(each.ours) / of(each.anchor))
    return Row(
        what,
        show(over(rounds, lambda each: of(each.ours)).median),
        show(over(rounds, lambda each: of(each.anchor)).median),
        f"{ratio.median:.2f} × ({ratio.low:.2f}–{ratio.high:.2f})",
        _bound(most, least, "×"),
        _met(ratio.median, most, least),
    )


def difference_row(
    what: str,
    rounds: Sequence[Round],
    of: Callable[[Samples], float],
    show: Callable[[float], str],
    *,
    most: float | None = None,
) -> Row:
    """A row whose result is ours less the anchor, round by round."""
    more = over(rounds, lambda each: of(each.ours) - of(each.anchor))
    return Row(
        what,
        show(over(rounds, lambda each: of(each.ours)).median),
        show(over(rounds, lambda each: of(each.anchor)).median),
        f"{_signed(show, more.median)} ({_signed(show, more.low)} to {_signed(show, more.high)})",
        "–" if most is None else f"≤ {_signed(show, most)}",
        _met(more.median, most, None),
    )


def milliseconds(seconds: float) -> str:
    """Seconds as milliseconds."""
    value = seconds * 1000
    return f"{value:.0f} ms" if abs(value) >= 100 else f"{value:.1f} ms"


def megabytes(count: float) -> str:
    """Bytes as MB."""
    return f"{count / 1e6:.1f} MB"


def per_second(rate: float) -> str:
    """A rate."""
    return f"{rate:.0f}/s"


def _signed(show: Callable[[float], str], value: float) -> str:
    return f"+{show(value)}" if value >= 0 else f"−{show(-value)}"


def _bound(most: float | None, least: float | None, unit: str) -> str:
    if most is not None:
        return f"≤ {most:g} {unit}"
    return "–" if least is None else f"≥ {least:g} {unit}"


def _met(value: float, most: float | None, least: float | None) -> bool | None:
    if most is not None:
        return value <= most
    return None if least is None else value >= least
