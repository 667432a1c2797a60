"""The fault matrix of a whole memo: every fault x every vendor's call, what comes of it, one table.

A cell names what the fault means for the call; what that leads to stands below it, once for each
call: the attempts in their order, each with the code of its failure, and how often the faulty call
is made. Faults are for ever here, so that the way out of a tier is seen too.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import chain
from typing import Final, Literal, NamedTuple

from contracts.errors import (
    FormatNotTaken,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from tests.contract.azure_faults import OWN as AZURE_OWN
from tests.faults.vendor_faults import VendorFault
from tests.faults.workflow_tables import BATCH, FAST, FILES, WAYS

Vendor = Literal["north", "south", "blobs", "openai", "gemini", "azure-openai"]


class Column(NamedTuple):
    """One call of a vendor, in a memo that gets there.

    Attributes:
        name: of the column.
        vendor: whose call it is.
        call: regular expression of ``METHOD /path``.
        tiers: TRANSCRIPTION_TIERS.
        audio: ``wav`` is taken by every vendor, ``aiff`` by none of Azure's; ``large`` has to be
            uploaded to Gemini.
        language: LANGUAGE_MODEL_TIERS.
        keys: of Azure: how many of the two resources are configured.
        down: a vendor that is overloaded all the time, so that the memo gets to the call.
    """

    name: str
    vendor: Vendor
    call: str
    tiers: str
    audio: Literal["wav", "aiff", "large"] = "wav"
    language: str = "local"
    keys: int = 2
    down: Vendor | None = None

    def __str__(self) -> str:
        return self.name


_FAST: Final = "POST .*:transcribe$"
_ALL: Final = "azure-fast,azure-fast-other-region,azure-fast-converted,azure-batch,openai"
_BATCH: Final = "azure-batch,openai"

COLUMNS: Final = {
    column.name: column
    for column in (
        Column("fast", "north", _FAST, _ALL),
        Column("other", "south", _FAST, "azure-fast,azure-fast-other-region,openai", down="north"),
        Column("conv", "north", _FAST, "azure-fast-converted,openai", "aiff", keys=1),
        Column("alone", "north", _FAST, "azure-fast", keys=1),
        Column("open1", "openai", "POST /v1/audio/transcriptions", "openai"),
        Column("submit", "north", "POST .*:submit$", _BATCH, keys=1),
        Column("list", "north", "GET .*/transcriptions$", _BATCH, keys=1),
        Column("status", "north", "GET .*/transcriptions/[^/]+$", _BATCH, keys=1),
        Column("files", "north", "GET .*/files$", _BATCH, keys=1),
        Column("report", "north", "GET /results/.*report", _BATCH, keys=1),
        Column("content", "north", "GET /results/.*contenturl", _BATCH, keys=1),
        Column("delete", "north", "DELETE /speechtotext", _BATCH, keys=1),
        Column("stage", "blobs", r"PUT .*\.wav$", _BATCH, keys=1),
        Column("remove", "blobs", r"DELETE .*\.wav$", _BATCH, keys=1),
        Column("openai", "openai", "POST /v1/audio/transcriptions", "openai,azure-fast"),
        Column("gemini", "gemini", "POST .*:generateContent", "gemini,openai"),
        Column("begin", "gemini", "POST /upload/v1", "gemini,openai", "large"),
        Column("upload", "gemini", "POST /upload/session", "gemini,openai", "large"),
        Column("look", "gemini", "GET /v1/files/", "gemini,openai", "large"),
        Column("forget", "gemini", "DELETE /v1/files/", "gemini,openai", "large"),
        Column("g-head", "gemini", "POST .*:generateContent", "openai", language="gemini,local"),
        Column(
            "a-head", "azure-openai", "POST .*/completions", "openai", language="azure-openai,local"
        ),
        Column("o-head", "openai", "POST .*/completions", "openai", language="openai,local"),
    )
}

NEAR: Final = VendorFault("429 near date", {"status": 429, "undone": True})
"""As ``429 date``, of a vendor that can be waited for."""
_NEAR_SECONDS: Final = 200


def near_date() -> str:
    """Of a ``Retry-After`` that is waited for."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=_NEAR_SECONDS), usegmt=True)


WORDS: Final[Mapping[str, tuple[type[ProviderFailure] | None, str]]] = {
    "ok": (None, ""),
    "busy": (ProviderBusy, "provider_busy"),
    "later": (ProviderBusy, "provider_busy"),  # for so long that it is not waited for
    "found": (ProviderBusy, "provider_busy"),  # the job was made, its answer lost
    "again": (ProviderBusy, "answer_malformed"),
    "unread": (ProviderBusy, "answer_malformed"),  # likewise
    "cut": (ProviderBusy, "provider_busy"),  # done, and its answer lost
    "malformed": (ProviderBroken, "answer_malformed"),
    "broken": (ProviderBroken, "provider_broken"),
    "out": (ProviderOut, "provider_out"),
    "format": (FormatNotTaken, "format_not_taken"),
    "long": (TooLongForProvider, "too_long_for_provider"),
    "left": (ProviderFailure, ""),  # the vendor's copy stays until the vendor deletes it itself
}
"""The words of the cells: what the fault means for the call."""

_TIERS: Final = {
    "fast": "azure-fast",
    "other": "azure-fast-other-region",
    "conv": "azure-fast-converted",
    "batch": "azure-batch",
}
_CODES: Final = {
    "busy": "provider_busy",
    "malformed": "answer_malformed",
    "broken": "provider_broken",
    "out": "provider_out",
    "other-key": "credential_out",
    "long": "too_long_for_provider",
    "format": "format_not_taken",
}
SAME: Final = {
    **dict.fromkeys(("fast", "other", "conv", "alone"), "fast"),
    **{name: name for name in ("submit", "list", "status", "files", "delete", "stage", "remove")},
}
"""Columns of the table of Azure's calls that say the same of a call by itself."""
_LANGUAGE: Final = {
    "wrong types": {
        "body": '{"choices": "x", "output": 3, "candidates": [7], "status": [], "usage": "y", '
        '"text": 7, "file": [], "name": 7, "state": 3}'
    },
    "nan": {
        "pattern": r'"(prompt_tokens|input_tokens|promptTokenCount|seconds)": \d+',
        "becomes": r'"\1": NaN',
    },
    "duplicate keys": {
        "pattern": r"^\{",
        "becomes": '{"choices": 5, "output": 5, "candidates": 5, "usage": 5, "usageMetadata": 5, ',
    },
}
OWN: Final = {
    **dict.fromkeys(("north", "south", "blobs"), AZURE_OWN),
    **dict.fromkeys(("openai", "gemini", "azure-openai"), _LANGUAGE),
}
"""By vendor: what only its calls can say."""


class Route(NamedTuple):
    """What a cell leads to.

    Attributes:
        attempts: ``tier`` or ``tier=code``.
        end: ``completed``, or ``=code`` of the failure.
        calls: least and most.
        left: jobs and files at vendors.
        headline: likewise, of the language models; none when there is nothing to write about.
    """

    attempts: tuple[str, ...]
    end: str
    calls: tuple[int, int]
    left: int
    headline: tuple[str, ...]


LOCAL: Final = "local"
"""The language model that serves in the end."""


def _cells(table: str) -> Iterator[tuple[tuple[str, str], str]]:
    head, *rows = table.strip().splitlines()
    columns = head.split()[1:]
    for row in rows:
        *name, words = row[:19].split(), row[19:].split()
        for column, word in zip(columns, words, strict=True):
            yield (" ".join(*name), column), word


def _route(line: str) -> tuple[tuple[str, str], Route]:
    column, word, calls, rest = line.split(maxsplit=3)
    way, *told = re.split(r" (?=left=|by=)", rest)
    attempts = tuple(_attempt(each) for each in way.split(" > "))
    further = dict(each.split("=", 1) for each in told)
    *_, code = attempts[-1].rpartition("=")
    failed = "=" in attempts[-1]
    least, _, most = calls.partition("-")
    return (column, word), Route(
        attempts=attempts,
        end=f"={code}" if failed else "completed",
        calls=(int(least), int(most or least)),
        left=int(further.get("left", 0)),
        headline=() if failed else tuple(map(_attempt, further.get("by", LOCAL).split("+"))),
    )


def _attempt(short: str) -> str:
    tier, _, code = short.partition("!")
    return _TIERS.get(tier, tier) + (f"={_CODES[code]}" if code else "")


CELLS: Final = dict(chain.from_iterable(map(_cells, (FAST, BATCH, FILES))))
"""By fault and column: the word."""
ROUTES: Final = dict(map(_route, WAYS.strip().splitlines()))
"""By column and word: what it leads to."""
