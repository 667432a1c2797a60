"""The real speech that ``tools/samples.py`` fetched."""

import json
import wave
from pathlib import Path
from typing import Any, Final

SAMPLES: Final = Path(__file__).resolve().parents[2] / ".samples"


def sample(name: str) -> Path:
    """Path of a sample; a missing one fails the test that wants it, with the remedy."""
    path = SAMPLES / name
    if not path.exists():
        message = f"{path.name} is missing: run `make samples`"
        raise FileNotFoundError(message)
    return path


def read_samples(name: str) -> bytes:
    """The samples of a 16 kHz mono recording."""
    with wave.open(str(sample(name))) as file:
        assert file.getparams()[:3] == (1, 2, 16_000)
        frames: bytes = file.readframes(file.getnframes())
    return frames


def memo_facts() -> dict[str, Any]:
    """What was read in the memo, and which words must be heard."""
    facts: dict[str, Any] = json.loads(sample("memo.json").read_text())
    return facts
