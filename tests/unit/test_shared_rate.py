"""The rate over all processes, and each process's own while the shared one cannot be asked."""

from api.shared_rate import AWAY_SECONDS, SharedLimiter
from contracts.errors import Unavailable
from contracts.rates import WINDOW_SECONDS, Allowance


class Clock:
    """Seconds a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Rates:
    """What all processes share: other processes have used some of it up."""

    def __init__(self, used: int = 0) -> None:
        self.used = used
        self.away = False
        self.asked = 0

    async def take(self, principal: str, limit: int) -> Allowance:
        assert principal == "anna"
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        granted = self.used < limit
        self.used += granted
        return Allowance(granted, limit, limit - self.used, 7.0)


async def grants(limiter: SharedLimiter, number: int) -> int:
    return sum([(await limiter.admit("anna")).granted for _ in range(number)])


async def test_what_other_processes_let_in_counts() -> None:
    rates = Rates(used=8)
    limiter = SharedLimiter(10, rates, Clock())
    assert await limiter.admit("anna") == (True, 10, 1, 7.0)
    assert await grants(limiter, 5) == 1


async def test_a_flood_costs_the_database_no_more_than_the_limit() -> None:
    rates = Rates()
    limiter = SharedLimiter(10, rates, Clock())
    assert await grants(limiter, 500) == 10
    assert rates.asked == 10


async def test_without_the_database_each_process_has_the_limit_to_itself() -> None:
    rates, clock = Rates(), Clock()
    limiter = SharedLimiter(10, rates, clock)
    assert await grants(limiter, 4) == 4
    rates.away = True
    # It remembers the four it let in before.
    assert await grants(limiter, 20) == 6
    clock.now += WINDOW_SECONDS
    assert await grants(limiter, 20) == 10


async def test_a_database_that_is_away_is_asked_again_after_a_pause_only() -> None:
    rates, clock = Rates(), Clock()
    limiter = SharedLimiter(100, rates, clock)
    rates.away = True
    await grants(limiter, 10)
    assert rates.asked == 1
    clock.now += AWAY_SECONDS
    rates.away, rates.used = False, 100
    assert await grants(limiter, 3) == 0
    assert rates.asked == 4


async def test_what_the_database_refused_takes_nothing_of_the_own_window() -> None:
    rates, clock = Rates(used=10), Clock()
    limiter = SharedLimiter(10, rates, clock)
    assert await grants(limiter, 30) == 0
    rates.away = True
    assert await grants(limiter, 30) == 10
