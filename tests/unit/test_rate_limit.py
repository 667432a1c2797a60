"""The moving window of requests."""

from api.rate_limit import SWEEP_EVERY, RateLimiter
from contracts.rates import WINDOW_SECONDS


class Clock:
    """Seconds a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_no_window_of_a_minute_ever_holds_more_than_the_limit() -> None:
    clock = Clock()
    limiter = RateLimiter(10, clock)
    granted: list[float] = []
    for _ in range(2000):
        clock.now += 0.7
        if limiter.take("anna").granted:
            granted.append(clock.now)
    assert len(granted) > 200
    for start in granted:
        assert sum(start <= at < start + WINDOW_SECONDS for at in granted) <= 10


def test_a_client_that_waits_as_long_as_it_is_told_gets_through() -> None:
    clock = Clock()
    limiter = RateLimiter(2, clock)
    limiter.take("anna")
    clock.now += 10
    assert limiter.take("anna") == (True, 2, 0, 50.0)
    refused = limiter.take("anna")
    assert refused == (False, 2, 0, 50.0)
    clock.now += refused.reset
    assert limiter.take("anna").granted


def test_principals_do_not_share_a_window() -> None:
    limiter = RateLimiter(1, Clock())
    assert limiter.take("anna").granted
    assert not limiter.take("anna").granted
    assert limiter.take("ben").granted


def test_principals_that_are_quiet_are_forgotten() -> None:
    clock = Clock()
    limiter = RateLimiter(1, clock)
    for number in range(SWEEP_EVERY - 1):
        limiter.take(str(number))
    clock.now += WINDOW_SECONDS
    limiter.take("anna")
    assert limiter.principals == 1
