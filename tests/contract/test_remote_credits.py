"""The fault matrix of the credits service: every fault x every call, and what each cell means.

``EXPECTED`` is the reviewed table. A seeded tenth runs always, all of it behind ``slow``.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Any, Final, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from contracts.errors import AnswerLost, Failure, InsufficientCredits, Unavailable
from contracts.reservations import RemoteBalance
from providers import remote_credits
from providers.remote_credits import AWAY, REFUSED, RemoteCredits
from providers.vendor_http import Answer
from tests.fakes.mana_credits import KEY, FakeManaCredits
from tests.faults.vendor_faults import (
    DATE_AHEAD,
    FAULTS,
    SECONDS_ASKED,
    VendorFault,
    elsewhere,
    filled,
    sampled,
    seed,
)

TIMEOUT: Final = 0.6
USER: Final = str(uuid4())


class Cell(NamedTuple):
    """What one fault means.

    Attributes:
        kind: of the failure; none when nothing is wrong for us.
        blind: likewise for calls whose answer's body says nothing that is needed.
        arrives: whether the service sees the call.
        wait: least and most seconds the failure says to wait.
    """

    kind: type[Failure] | None
    blind: type[Failure] | None
    code: str = AWAY
    arrives: bool = True
    wait: tuple[float, float] | None = None


LOST: Final = Cell(AnswerLost, AnswerLost)
SURE: Final = Cell(Unavailable, Unavailable)
NOT_THERE: Final = SURE._replace(arrives=False)
UNREADABLE: Final = Cell(AnswerLost, None)
NO: Final = SURE._replace(code=REFUSED)

EXPECTED: Final = {
    "429 seconds": SURE._replace(wait=(SECONDS_ASKED, SECONDS_ASKED)),
    "429 date": SURE._replace(wait=(1, DATE_AHEAD)),
    "429 bare": SURE,
    "500": LOST,
    "502 html": LOST,
    "503": LOST,
    "504": LOST,
    "refused": NOT_THERE,
    "no such host": NOT_THERE,
    "no tls": NOT_THERE,
    "connect time-out": NOT_THERE,
    "read time-out": LOST,
    "one byte a second": LOST,
    "reset in the body": LOST,
    "wrong length": LOST,
    "chunked abort": LOST,
    "empty 200": UNREADABLE,
    "broken json": UNREADABLE,
    "wrong types": UNREADABLE,
    "missing fields": UNREADABLE,
    "nan": UNREADABLE,
    "duplicate keys": Cell(None, None),  # the last one counts, as in every JSON reader
    "bad utf-8": UNREADABLE,
    "100 MB": LOST,
    "gzip bomb": LOST,
    "redirect": NO,
    "401": NO,
    "402": NO,
    "403": NO,
    "413": NO,
    "415": NO,
}
OWN: Final = {
    "wrong types": {"body": '{"balance": "9", "reservationId": 7}'},
    "nan": {"pattern": r'"balance": -?\d+', "becomes": '"balance": NaN'},
    "duplicate keys": {"pattern": r"^\{", "becomes": '{"balance": 5, "reservationId": "r", '},
}

CALLS: Final[dict[str, Callable[[RemoteCredits, str], Awaitable[Any]]]] = {
    "balance": lambda remote, _: remote.balance(USER),
    "reserve": lambda remote, _: remote.reserve(USER, 3, "why"),
    "commit": lambda remote, reserved: remote.commit(reserved, "what"),
    "refund-reservation": lambda remote, reserved: remote.refund(reserved),
    "use": lambda remote, _: remote.use(USER, 3, key=str(uuid4()), description="what"),
}
READING: Final = frozenset({"balance", "reserve"})
SPENDING: Final = frozenset({"reserve", "use"})
CELLS: Final = [(call, fault) for call in CALLS for fault in FAULTS]


@pytest.fixture
async def service() -> AsyncIterator[FakeManaCredits]:
    service = FakeManaCredits(KEY)
    await service.start()
    yield service
    service.release()
    await service.aclose()


def expected(call: str, fault: VendorFault) -> tuple[type[Failure] | None, Cell]:
    cell = EXPECTED[fault.name]
    if fault.name == "402" and call in SPENDING:
        return InsufficientCredits, cell._replace(code=InsufficientCredits.code)
    return (cell.kind if call in READING else cell.blind), cell


@pytest.mark.parametrize(("call", "fault"), sampled(CELLS, seed()))
async def test_every_fault_of_a_call_says_whether_it_may_have_taken_effect(
    service: FakeManaCredits, call: str, fault: VendorFault
) -> None:
    kind, cell = expected(call, fault)
    patient = RemoteCredits(service.url, SecretStr(KEY), "app")
    reserved = (await patient.reserve(USER, 5, "before")).id
    await patient.aclose()
    fault = filled(fault, OWN)
    with ExitStack() as stack:
        url = stack.enter_context(elsewhere(fault.place)) if fault.place else service.url
        if fault.wire:
            service.fault(call=f"/{call}", **fault.wire)
        bound = TIMEOUT if fault.slow else 20.0
        remote = RemoteCredits(url, SecretStr(KEY), "app", seconds=bound)
        began, before = time.monotonic(), service.made(call)
        failure = await failure_of(CALLS[call](remote, reserved))
        await remote.aclose()
    assert type(failure) is (kind or type(None))
    assert service.made(call) - before == cell.arrives
    if failure is not None:
        assert failure.code == cell.code
        least, most = cell.wait or (None, None)
        waits = failure.retry_after
        assert waits is None if least is None or most is None else least <= (waits or 0) <= most
        assert KEY not in str(failure)
    assert time.monotonic() - began < 60


async def failure_of(call: Awaitable[Any]) -> Failure | None:
    try:
        await call
    except Failure as failure:
        return failure
    return None


def test_every_fault_has_a_cell() -> None:
    assert {fault.name for fault in FAULTS} == set(EXPECTED)


async def test_what_is_over_is_over_once(service: FakeManaCredits) -> None:
    remote = RemoteCredits(f"{service.url}/", SecretStr(KEY), "app")
    assert await remote.balance(USER) == RemoteBalance(balance=150, total_earned=150, total_spent=0)
    first = await remote.reserve(USER, 10, "a")
    second = await remote.reserve(USER, 20, "b")
    assert second.balance == 120
    for _ in range(2):
        await remote.commit(first.id, "x")
        await remote.refund(second.id)
    for _ in range(2):
        await remote.use(USER, 7, key="same", description="x", metadata={"pages": 3})
    assert await remote.balance(USER) == RemoteBalance(
        balance=133, total_earned=150, total_spent=17
    )
    with pytest.raises(Unavailable):
        await remote.commit("nobody-has-reserved-this", "x")
    await remote.aclose()


async def test_a_wrong_key_is_told_as_a_refusal(service: FakeManaCredits) -> None:
    remote = RemoteCredits(service.url, SecretStr("wrong"), "app")
    with pytest.raises(Unavailable) as refused:
        await remote.reserve(USER, 10, "a")
    assert refused.value.code == REFUSED
    assert not isinstance(refused.value, AnswerLost)
    await remote.aclose()


@given(status=st.integers(100, 599), body=st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_answer_whatever_it_holds_is_taken_for_certain_unless_it_is(
    status: int, body: bytes
) -> None:
    """Only a success that can be read is one, and only a refusal certainly did nothing."""
    try:
        said = remote_credits.read_reservation(Answer(status, {}, body))
    except AnswerLost:
        assert not 300 <= status < 500
    except Unavailable:
        assert 300 <= status < 500
    else:
        assert 200 <= status < 300
        assert said.id
