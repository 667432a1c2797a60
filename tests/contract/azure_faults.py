"""The fault matrix of Azure: what each fault means for each call, as one table to review.

A cell is the class of the failure and its code, ``ok`` where the vendor has served all the same.
What the classes lead to stands in ``contracts/errors.py`` and ``contracts/tiers.py``.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from contracts.errors import (
    FormatNotTaken,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)


class Cell(NamedTuple):
    """What one fault means for one call.

    Attributes:
        kind: of the failure; none when it was served.
    """

    kind: type[ProviderFailure] | None
    code: str = ""


_CELLS: Final[Mapping[str, Cell]] = {
    "ok": Cell(None),
    "busy": Cell(ProviderBusy, "provider_busy"),
    "again": Cell(ProviderBusy, "answer_malformed"),
    "out": Cell(ProviderOut, "provider_out"),
    "malformed": Cell(ProviderBroken, "answer_malformed"),
    "broken": Cell(ProviderBroken, "provider_broken"),
    "gone": Cell(ProviderBroken, "not_at_vendor"),
    "format": Cell(FormatNotTaken, "format_not_taken"),
    "long": Cell(TooLongForProvider, "too_long_for_provider"),
}

_TABLE: Final = """
fault              fast       submit  list    status  files   content  delete  stage   remove
429 seconds        busy       busy    busy    busy    busy    busy     busy    busy    busy
429 date           busy       busy    busy    busy    busy    busy     busy    busy    busy
429 bare           busy       busy    busy    busy    busy    busy     busy    busy    busy
500                busy       busy    busy    busy    busy    busy     busy    busy    busy
502 html           busy       busy    busy    busy    busy    busy     busy    busy    busy
503                busy       busy    busy    busy    busy    busy     busy    busy    busy
504                busy       busy    busy    busy    busy    busy     busy    busy    busy
refused            busy       busy    busy    busy    busy    busy     busy    busy    busy
no such host       busy       busy    busy    busy    busy    busy     busy    busy    busy
no tls             busy       busy    busy    busy    busy    busy     busy    busy    busy
connect time-out   busy       busy    busy    busy    busy    busy     busy    busy    busy
read time-out      busy       busy    busy    busy    busy    busy     busy    busy    busy
one byte a second  busy       busy    busy    busy    busy    busy     ok      ok      ok
reset in the body  busy       busy    busy    busy    busy    busy     ok      ok      ok
wrong length       busy       busy    busy    busy    busy    busy     ok      busy    busy
chunked abort      busy       busy    busy    busy    busy    busy     ok      busy    busy
empty 200          malformed  again   again   again   again   again    ok      ok      ok
broken json        malformed  again   again   again   again   again    ok      again   again
wrong types        malformed  again   again   again   again   again    ok      ok      ok
missing fields     malformed  again   again   again   again   again    ok      ok      ok
nan                malformed  ok      ok      ok      ok      again    ok      ok      ok
duplicate keys     ok         ok      ok      ok      ok      ok       ok      ok      ok
bad utf-8          malformed  again   again   again   again   again    ok      again   again
100 MB             malformed  again   again   again   again   again    ok      again   again
gzip bomb          malformed  again   again   again   again   again    again   again   again
redirect           broken     broken  broken  broken  broken  broken   broken  broken  broken
401                out        out     out     out     out     gone     out     out     out
402                out        out     out     out     out     gone     out     out     out
403                out        out     out     out     out     gone     out     out     out
413                long       broken  broken  broken  broken  broken   broken  broken  broken
415                format     broken  broken  broken  broken  broken   broken  broken  broken
"""

_ROWS: Final = _TABLE.strip().splitlines()
CALLS: Final = tuple(_ROWS[0].split()[1:])


def _cells(row: str) -> tuple[str, list[Cell]]:
    *name, fast, submit, listed, status, files, content, delete, stage, remove = row.split()
    cells = (fast, submit, listed, status, files, content, delete, stage, remove)
    return " ".join(name), [_CELLS[cell] for cell in cells]


EXPECTED: Final[Mapping[tuple[str, str], Cell]] = {
    (name, call): cell
    for name, cells in map(_cells, _ROWS[1:])
    for call, cell in zip(CALLS, cells, strict=True)
}

OWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "wrong types": {
        "body": '{"phrases": 7, "self": [], "values": "x", "status": 3, "recognizedPhrases": {}}'
    },
    "nan": {
        "pattern": r'"(offsetMilliseconds|offsetInTicks|timeToLiveHours|size)": [\d.]+',
        "becomes": r'"\1": NaN',
    },
    "duplicate keys": {
        "pattern": r"^\{",
        "becomes": '{"phrases": 5, "self": 5, "values": 5, "status": 5, "recognizedPhrases": 5, ',
    },
}
"""What only these calls can say."""

UNTOLD: Final = ("secret-key", "sig=", "harbour", "boats", "Eby8vdM02")
"""Stands in no message and in no log: keys, links, words."""
