"""The extra ``whisper`` as it is published: the engine itself, without a model's weights.

Its voice activity detection (Silero) is in its wheel: it decides whether a model is needed at all.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from providers.speech_cutting import next_part
from tests.media.recordings import tone, wav
from tests.media.samples import read_samples
from tools import provide_whisper

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
HEAR = """
import sys
from contracts.errors import ProviderFailure
from providers.whisper import ENGINE, WhisperModel, hear

try:
    heard = hear(ENGINE, WhisperModel("/no/such/model", "/models", "cpu"), sys.argv[1], 0.0, ())
    print("speech" if heard.speech else "no speech")
except ProviderFailure as failure:
    print(failure.code, failure.message)
"""


def heard(path: Path) -> str:
    assert provide_whisper.installed(), "run `make whisper`"
    search = os.pathsep.join((str(provide_whisper.INSTALLED), str(ROOT)))
    command = [sys.executable, "-c", HEAR, str(path)]
    done = subprocess.run(
        command, env={"PYTHONPATH": search}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_tone_as_loud_as_speech_is_no_speech_to_it(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    path.write_bytes(wav(tone(5, amplitude=9000)))
    with path.open("rb") as file:
        assert next_part(file, 0.0).segments  # to the detection that finds where to cut it is
    assert heard(path) == "no speech"


def test_speech_is_heard_and_asks_for_the_model_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "memo.wav"
    path.write_bytes(wav(read_samples("memo.wav")))
    said = heard(path)
    assert said.startswith("provider_out Whisper's model /no/such/model cannot be loaded")
    assert "WHISPER_MODEL" in said
