"""Writes ``docs/openapi.json``, or says that it is not what the app says.

Usage: ``python tools/openapi.py [--check]``
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from api.main import create_app  # noqa: E402 - the checkout is on the path only now
from runtime.settings import load  # noqa: E402

TARGET = ROOT / "docs" / "openapi.json"


def document() -> str:
    """The document as it is kept: readable, and the same on every machine."""
    settings = load(None)
    return json.dumps(create_app(settings).openapi(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write it, or compare it."""
    text = document()
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text() == text:
            return 0
        print(f"{TARGET.relative_to(ROOT)} is old: run `python tools/openapi.py`", file=sys.stderr)
        return 1
    TARGET.write_text(text)
    print(f"{TARGET.relative_to(ROOT)}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
