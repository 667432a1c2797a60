"""Runs benchmarks by name and prints their table: ``python -m benchmarks --help``."""

import argparse
import importlib
from typing import Final

from benchmarks.measure import Row

NAMES: Final = (
    *("durability", "starts", "conversion", "long_audio", "growth", "cold", "webhooks"),
    *("speech", "first_sound"),
)
HEAD: Final = (
    "| what | ours | anchor | result | target | met |",
    "|---|---|---|---|---|---|",
)


def main() -> None:
    """Run what was asked for; the table is Markdown, as ``docs/performance.md`` keeps it."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("names", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--many", type=int, help="stored memos of `growth` (100 000)")
    asked = parser.parse_args()
    print(*HEAD, sep="\n", flush=True)
    for name in asked.names:
        options = {"many": asked.many} if asked.many and name == "growth" else {}
        rows: list[Row] = importlib.import_module(f"benchmarks.{name}").run(asked.rounds, **options)
        for row in rows:
            print(line(row), flush=True)


def line(row: Row) -> str:
    """One row of the table."""
    met = {True: "yes", False: "no", None: ""}[row.met]
    return f"| {row.what} | {row.ours} | {row.anchor} | {row.result} | {row.target} | {met} |"


if __name__ == "__main__":
    main()
