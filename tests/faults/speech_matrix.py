"""The fault matrix of a whole text: every fault x every vendor x every order of them, as one table.

A cell names what the fault means for the call, in the words of ``workflow_matrix`` and some of its
own; what that leads to is a rule, because it is the same for all vendors: a tier that fails in one
part gives way in all of them. Faults are for ever, from one part of the text on.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from tests.faults.vendor_faults import FAULTS, HTML, VendorFault
from tests.faults.workflow_matrix import NEAR

Vendor = Literal["openai", "azure", "gemini"]

PARTS: Final = 3
"""Of the text; each is spoken when the one before it is there."""


class Column(NamedTuple):
    """One vendor's calls, in a text that gets to them.

    Attributes:
        vendor: whose calls go wrong.
        tiers: SPEECH_TIERS.
        part: of the text, from 1 on, from which they do.
        price: of the text, in credits.
        down: a vendor that is overloaded all the time, so that the text gets to the other one.
    """

    name: str
    vendor: Vendor
    tiers: tuple[Vendor, ...]
    part: int
    price: int
    down: Vendor | None = None

    def __str__(self) -> str:
        return self.name

    def good(self, fault: VendorFault) -> int:
        """Parts that the vendor speaks before; one that is not there, or slow, speaks none."""
        return 0 if fault.place or fault.slow else self.part - 1


COLUMNS: Final = {
    column.name: column
    for column in (
        Column("oag", "openai", ("openai", "azure", "gemini"), 1, 3),
        Column("oga", "openai", ("openai", "gemini", "azure"), 3, 0),
        Column("aog", "azure", ("azure", "openai", "gemini"), 1, 0),
        Column("ago", "azure", ("azure", "gemini", "openai"), 2, 3),
        Column("goa", "gemini", ("gemini", "openai", "azure"), 1, 3),
        Column("gao", "gemini", ("gemini", "azure", "openai"), 3, 0),
        Column("oag-2nd", "azure", ("openai", "azure", "gemini"), 2, 3, down="openai"),
        Column("ago-2nd", "gemini", ("azure", "gemini", "openai"), 1, 0, down="azure"),
        Column("goa-2nd", "openai", ("gemini", "openai", "azure"), 1, 3, down="gemini"),
        Column("o", "openai", ("openai",), 1, 3),
        Column("a", "azure", ("azure",), 2, 3),
        Column("g", "gemini", ("gemini",), 3, 3),
    )
}

REFUSED: Final = VendorFault("content refused")
OWN_FAULTS: Final = (
    NEAR,
    REFUSED,
    VendorFault("no money"),
    VendorFault("a page", {"headers": {"content-type": "text/html"}, "body": HTML}),
    VendorFault("odd bytes", {"body": "abc"}),
    VendorFault("a tenth of it"),
    VendorFault("404", {"status": 404, "undone": True}),
    VendorFault("408", {"status": 408, "undone": True}),
)
"""What else an answer of sound can be."""

JSON_ALONE: Final = frozenset({"wrong types", "nan", "duplicate keys"})
"""Faults of a language that sound is not in; Gemini's answers are seen in ``workflow_matrix``."""

EVERY: Final = [*(fault for fault in FAULTS if fault.name not in JSON_ALONE), *OWN_FAULTS]

_LONG: Final = {"wrong length": {"length": 100_000_000}}
_SHORT: Final = {"body": "\0" * 4800}
_POLICY: Final = '{"error": {"code": "content_policy_violation", "message": "planted"}}'
_MONEY: Final = '{"error": {"code": "insufficient_quota", "message": "planted"}}'
_BLOCKED: Final = '{"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}'
_CUT: Final = (
    '{"candidates": [{"finishReason": "STOP", "content": {"parts": [{"inlineData": {"mimeType": '
    '"audio/L16;codec=pcm;rate=24000", "data": "AAAAAAAA"}}]}}]}'
)
FILLED: Final[Mapping[Vendor, Mapping[str, Mapping[str, Any]]]] = {
    "openai": {
        "content refused": {"status": 400, "undone": True, "body": _POLICY},
        "no money": {"status": 429, "undone": True, "body": _MONEY},
        "a tenth of it": _SHORT,
        **_LONG,
    },
    "azure": {
        "content refused": {"status": 400, "undone": True, "body": ""},
        "no money": {"status": 402, "undone": True, "body": _MONEY},
        "a tenth of it": _SHORT,
        **_LONG,
    },
    "gemini": {
        "content refused": {"body": _BLOCKED},
        "no money": {"status": 402, "undone": True, "body": _MONEY},
        "a tenth of it": {"body": _CUT},
        **_LONG,
    },
}
"""By vendor: what only its calls can say."""


class Word(NamedTuple):
    """What a fault means for the call: the failure's code, and how often it is asked."""

    code: str
    tries: int = 1


WORDS: Final = {
    "busy": Word("provider_busy", 2),
    "later": Word("provider_busy"),  # for so long that it is not waited for
    "out": Word("provider_out"),
    "broken": Word("provider_broken"),
    "malformed": Word("answer_malformed"),
    "empty": Word("answer_empty"),
    "short": Word("answer_truncated"),
    "blocked": Word("answer_blocked"),
}

_TABLE: Final = """
fault              openai     azure      gemini
429 seconds        busy       busy       busy
429 date           later      later      later
429 bare           busy       busy       busy
429 near date      busy       busy       busy
500                busy       busy       busy
502 html           busy       busy       busy
503                busy       busy       busy
504                busy       busy       busy
refused            busy       busy       busy
no such host       busy       busy       busy
no tls             busy       busy       busy
connect time-out   busy       busy       busy
read time-out      busy       busy       busy
one byte a second  busy       busy       busy
reset in the body  busy       busy       busy
wrong length       busy       busy       busy
chunked abort      busy       busy       busy
408                busy       busy       busy
empty 200          empty      empty      malformed
broken json        short      malformed  malformed
missing fields     short      short      malformed
bad utf-8          short      malformed  malformed
100 MB             broken     malformed  malformed
gzip bomb          broken     malformed  malformed
a page             malformed  malformed  malformed
odd bytes          short      malformed  malformed
a tenth of it      short      short      short
content refused    broken     broken     blocked
no money           out        out        out
redirect           broken     broken     broken
401                out        out        out
402                out        out        out
403                out        out        out
404                out        out        out
413                broken     broken     broken
415                broken     broken     broken
"""

_HEAD, *_ROWS = _TABLE.strip().splitlines()
CELLS: Final = {
    (row[:19].strip(), vendor): word
    for row in _ROWS
    for vendor, word in zip(_HEAD.split()[1:], row[19:].split(), strict=True)
}
"""By fault and vendor: the word."""


class Route(NamedTuple):
    """What a cell leads to.

    Attributes:
        attempts: ``tier part`` or ``tier part=code``, in their order.
        end: tier that spoke, or ``=code`` of the failure.
        calls: by vendor, of those that can be reached.
        charged: credits.
    """

    attempts: tuple[str, ...]
    end: str
    calls: Mapping[str, int]
    charged: int


def route(column: Column, fault: VendorFault) -> Route:
    """What comes of a text in which the calls go wrong that way."""
    word, good = WORDS[CELLS[fault.name, column.vendor]], column.good(fault)
    attempts: list[str] = []
    calls = dict.fromkeys(("openai", "azure", "gemini"), 0)
    if column.down is not None:
        attempts += [f"{column.down} 1=provider_busy"] * 2
        calls[column.down] = 2
    attempts += [f"{column.vendor} {part}" for part in range(1, good + 1)]
    attempts += [f"{column.vendor} {good + 1}={word.code}"] * word.tries
    calls[column.vendor] = 0 if fault.place else good + word.tries
    behind = column.tiers[column.tiers.index(column.vendor) + 1 :]
    if not behind:
        return Route(tuple(attempts), f"={word.code}", calls, 0)
    attempts += [f"{behind[0]} {part}" for part in range(1, PARTS + 1)]
    calls[behind[0]] = PARTS
    return Route(tuple(attempts), behind[0], calls, column.price)
