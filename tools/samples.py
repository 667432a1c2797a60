"""Real speech to try things with: ``.samples/``, made once and kept out of the repository.

The recordings are public-domain readings (LibriVox) in the source distribution of pocketsphinx,
fetched with pip and pinned by hash. They are joined to ``memo.wav`` and encoded to ``memo.m4a`` as
a phone would; ``memo.json`` says what was read and which words a recogniser must get.

    python tools/samples.py
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import wave
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
SAMPLES: Final = ROOT / ".samples"
PACKAGE: Final = "pocketsphinx"
VERSION: Final = "5.1.1"
SHA256: Final = "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355"
DATA: Final = f"{PACKAGE}-{VERSION}/test/data/"
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
            unpack(download(Path(directory)), made)
            join(made)
            encode(made)
            describe(made)
            (made / "recipe").write_text(RECIPE)
            shutil.rmtree(SAMPLES, ignore_errors=True)
            made.rename(SAMPLES)
    except SamplesMissing as error:
        print(f"samples: {error}", file=sys.stderr)
        return 1
    print(f"samples: {SAMPLES.relative_to(ROOT)}/memo.m4a is ready", file=sys.stderr)
    return 0


class SamplesMissing(Exception):
    """The samples cannot be made; the message says what to do."""


def download(into: Path) -> Path:
    """Fetch the source distribution with pip, and check that it is the one that was read."""
    said = []
    for pip in (_this_pip, _base_pip, _path_pip, _fresh_pip):
        python = pip(into)
        if python is None:
            continue
        command = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-binary", PACKAGE, f"{PACKAGE}=={VERSION}", "-d", str(into)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        archive = into / f"{PACKAGE}-{VERSION}.tar.gz"
        if archive.exists():
            return _checked(archive)
        said.append(done.stderr.strip()[-600:])
    message = "pip could not fetch the recordings; is the package index reachable?\n"
    raise SamplesMissing(message + "\n".join(said or ["No Python with pip was found."]))


def _checked(archive: Path) -> Path:
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        raise SamplesMissing(f"{archive.name} has SHA-256 {digest}, not the pinned {SHA256}")
    return archive


def _has_pip(python: str | None) -> str | None:
    if python is None:
        return None
    command = [python, "-m", "pip", "--version"]
    found = subprocess.run(command, check=False, capture_output=True)
    return python if found.returncode == 0 else None


def _this_pip(_: Path) -> str | None:
    return _has_pip(sys.executable)


def _base_pip(_: Path) -> str | None:
    python = Path(sys.base_prefix) / "bin" / "python3"
    return _has_pip(str(python)) if python.exists() else None


def _path_pip(_: Path) -> str | None:
    path = os.pathsep.join(
        each for each in os.get_exec_path() if Path(each) != Path(sys.prefix) / "bin"
    )
    return _has_pip(shutil.which("python3", path=path))


def _fresh_pip(into: Path) -> str | None:
    home = into / "pip"
    try:
        venv.create(home, with_pip=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return _has_pip(str(home / "bin" / "python"))


def unpack(archive: Path, into: Path) -> None:
    """Take the recordings and their transcriptions out, under the names they have there."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.removeprefix(DATA)
            wanted = name.startswith(KEPT) and name.endswith(SUFFIXES) and ".." not in name
            if name == member.name or not wanted or not member.isfile():
                continue
            content = tar.extractfile(member)
            if content is None:
                raise SamplesMissing(f"{member.name} cannot be read")
            target = into / name
            target.parent.mkdir(exist_ok=True)
            with target.open("wb") as file:
                shutil.copyfileobj(content, file)


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
