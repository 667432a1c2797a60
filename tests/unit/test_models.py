"""What vendors announce of their models."""

from datetime import date
from typing import Any

import pytest

from contracts.models import shutdown_dates


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("2027-02-26", date(2027, 2, 26)),
        ("2027-02-26T00:00:00Z", date(2027, 2, 26)),
        (1803600000, date(2027, 2, 26)),
        (None, None),
        ("soon", None),
        (True, None),
        (-1, None),
        (10**30, None),
        ([], None),
    ],
)
def test_a_date_is_read_in_any_spelling_and_nothing_else_is(told: Any, day: date | None) -> None:
    listed = {"data": [{"id": "whisper-1", "shutdown_date": told}, {"id": "other"}]}
    expected = {} if day is None else {"whisper-1": day}
    assert shutdown_dates(listed, ["whisper-1"]) == expected


@pytest.mark.parametrize("listed", [None, [], {}, {"data": {}}, {"data": [None, 7, {"id": []}]}])
def test_a_list_of_another_shape_says_nothing(listed: Any) -> None:
    assert shutdown_dates(listed, ["whisper-1"]) == {}


def test_models_that_are_not_used_are_not_told_of() -> None:
    listed = {"data": [{"id": "tts-1", "shutdown_date": "2027-01-06"}]}
    assert shutdown_dates(listed, ["whisper-1"]) == {}
