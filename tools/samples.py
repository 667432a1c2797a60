"""Real speech to try things with: ``.samples/``, made once and kept out of the repository.

The recordings are public-domain readings (LibriVox) in the source distribution of pocketsphinx,
fetched with pip and pinned by hash. They are joined to ``memo.wav`` and encoded to ``memo.m4a`` as
a phone would; ``memo.json`` says what was read and which words a recogniser must get.

    python tools/samples.py
"""

import json
import shutil
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Final

from tools.source_distribution import NotFetched, Pinned, fetch, unpack

ROOT: Final = Path(__file__).resolve().parent.parent
SAMPLES: Final = ROOT / ".samples"
SHA256: Final = "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355"
PINNED: Final = Pinned("pocketsphinx", "5.1.1", (SHA256,))
DATA: Final = f"{PINNED.package}-{PINNED.version}/test/data/"
KEPT: Final = ("librivox/", "cards/", "goforward.raw", "awful.wav", "null.wav", "bad.wav")
SUFFIXES: Final = (".wav", ".raw", "transcription")
RECIPE: Final = f"{SHA256} 2"
"""Changes when the same download has to be made into something else."""

MUST_BE_HEARD: Final = (
    *("leisure", "consider", "power", "young", "cold", "hearted", "selfish"),
    *("amiable", "woman", "respectable"),
)
"""Words of the memo that the weakest engine, pocketsphinx, gets every time."""


def main() -> int:
    """Make what is missing; quick when nothing is."""
    stamp = SAMPLES / "recipe"
    if stamp.exists() and stamp.read_text() == RECIPE:
        return 0
    try:
        with tempfile.TemporaryDirectory(dir=ROOT, prefix=".samples-") as directory:
            made = Path(directory) / "samples"
            made.mkdir()
            unpack(fetch(PINNED, Path(directory)), made, _name)
            join(made)
            encode(made)
            describe(made)
            (made / "recipe").write_text(RECIPE)
            shutil.rmtree(SAMPLES, ignore_errors=True)
            made.rename(SAMPLES)
    except (NotFetched, SamplesMissing) as error:
        print(f"samples: {error}", file=sys.stderr)
        return 1
    print(f"samples: {SAMPLES.relative_to(ROOT)}/memo.m4a is ready", file=sys.stderr)
    return 0


class SamplesMissing(Exception):
    """The samples cannot be made; the message says what to do."""


def _name(member: str) -> str | None:
    """Where a recording or a transcription goes: under the name it has there."""
    name = member.removeprefix(DATA)
    wanted = name.startswith(KEPT) and name.endswith(SUFFIXES)
    return name if wanted and name != member else None


def _read_in_order(made: Path) -> list[Path]:
    return sorted((made / "librivox").glob("*.wav"))


def join(made: Path) -> None:
    """Join the sentences to one reading, 16 kHz mono."""
    with wave.open(str(made / "memo.wav"), "wb") as memo:
        memo.setparams((1, 2, 16_000, 0, "NONE", ""))
        for path in _read_in_order(made):
            with wave.open(str(path), "rb") as part:
                memo.writeframes(part.readframes(part.getnframes()))


def encode(made: Path) -> None:
    """Encode as a phone's recorder does: AAC, mono, 44.1 kHz, in an m4a."""
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise SamplesMissing("ffmpeg is not installed: apt-get install ffmpeg")
    command = [ffmpeg, "-nostdin", "-v", "error", "-y", "-i", str(made / "memo.wav")]
    command += ["-ac", "1", "-ar", "44100", "-c:a", "aac", "-b:a", "64k"]
    command += ["-fflags", "+bitexact", "-flags:a", "+bitexact", str(made / "memo.m4a")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SamplesMissing(f"ffmpeg could not encode the memo: {done.stderr.strip()[-600:]}")


def describe(made: Path) -> None:
    """Write down what was read."""
    said = dict(_transcriptions(made / "librivox" / "transcription"))
    with wave.open(str(made / "memo.wav"), "rb") as memo:
        seconds = memo.getnframes() / memo.getframerate()
    facts = {
        "seconds": seconds,
        "transcript": " ".join(said[path.stem] for path in _read_in_order(made)),
        "must_be_heard": MUST_BE_HEARD,
    }
    (made / "memo.json").write_text(json.dumps(facts, indent=2) + "\n")


def _transcriptions(path: Path) -> list[tuple[str, str]]:
    """Lines of ``<s> the words </s> (name)`` as (name, words)."""
    pairs = []
    for line in path.read_text().splitlines():
        words, _, name = line.rpartition(" (")
        pairs.append((name.rstrip(")"), words.replace("<s>", "").replace("</s>", "").strip()))
    return pairs


if __name__ == "__main__":
    sys.exit(main())
