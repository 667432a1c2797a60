"""Runs benchmarks by name and prints their table: ``python -m benchmarks --help``."""

import argparse
import importlib
from typing import Final

from benchmarks.measure import Row

NAMES: Final = ("durability", "starts", "conversion", "growth", "cold", "waiting")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("names", nargs="*", default=NAMES, choices=NAMES)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for name in asked.names:
        rows: list[Row] = importlib.import_module(f"benchmarks.{name}").run(asked.rounds)
        for row in rows:
            print(row)


if __name__ == "__main__":
    main()
