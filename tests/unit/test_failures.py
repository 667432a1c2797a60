"""What a vendor's status means."""

import pytest

from contracts.errors import (
    FormatNotTaken,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from providers.failures import codes_of, of_status, retry_after

AT_NOON = 1_445_428_800.0  # Wed, 21 Oct 2015 12:00:00 GMT


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FormatNotTaken),
        (401, ProviderOut),
        (402, ProviderOut),
        (403, ProviderOut),
        (404, ProviderOut),
        (408, ProviderBusy),
        (413, TooLongForProvider),
        (415, FormatNotTaken),
        (418, ProviderBroken),
        (422, FormatNotTaken),
        (425, ProviderBusy),
        (429, ProviderBusy),
        (302, ProviderBroken),
        (500, ProviderBusy),
        (503, ProviderBusy),
        (529, ProviderBusy),
        (599, ProviderBusy),
    ],
)
def test_each_status_has_one_meaning(status: int, kind: type[ProviderFailure]) -> None:
    assert type(of_status("vendor", status)) is kind


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Wed, 21 Oct 2015 12:00:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 11:00:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 12:00:30 -0000", 30.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, now=AT_NOON) == seconds


def test_a_busy_vendor_passes_on_how_long_to_wait() -> None:
    assert of_status("vendor", 429, headers={"retry-after": "7"}).retry_after == 7.0
    assert of_status("vendor", 429).retry_after is None


def test_a_message_names_the_vendor_and_a_code_and_nothing_a_vendor_could_slip_in() -> None:
    assert str(of_status("vendor", 404, code="model_not_found")) == (
        "vendor answered 404 (model_not_found)"
    )
    assert str(of_status("vendor", 401, code="Incorrect key: sk-1234")) == "vendor answered 401"
    assert str(of_status("vendor", 401, code={"a": 1})) == "vendor answered 401"


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b'{"code": "A", "message": "m"}', ("A",)),
        (
            b'{"code": "A", "innerError": {"code": "B", "innerError": {"code": "C"}}}',
            ("C", "B", "A"),
        ),
        (b'{"error": {"code": "401", "message": "m"}}', ()),
        (b'{"error": {"code": "A", "innererror": {"code": "B"}}}', ("B", "A")),
        (b'{"code": "say the key", "innerError": 7}', ()),
        (b'{"code": 5}', ()),
        (b"[]", ()),
        (b"<html>", ()),
        (b"", ()),
        (b"\xff\xfe{", ()),
        (b'{"error": ' * 100_000, ()),
        (b'{"error": ' * 500 + b"{}" + b"}" * 500, ()),
    ],
)
def test_the_codes_of_an_error_body_are_read_from_the_inside_out(
    body: bytes, codes: tuple[str, ...]
) -> None:
    assert codes_of(body) == codes
