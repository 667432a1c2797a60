"""What is in a file of speech, as ffmpeg hears it."""

import subprocess

from contracts.speech import SAMPLE_RATE, SpeechFormat


def decoded(data: bytes, form: SpeechFormat, rate: int = SAMPLE_RATE) -> bytes:
    """Samples of the file, one channel of signed 16 bit."""
    raw = ("-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1") if form is SpeechFormat.PCM else ()
    command = ("ffmpeg", "-v", "error", *raw, "-i", "pipe:0")
    target = ("-f", "s16le", "-ac", "1", "-ar", str(rate), "-")
    return subprocess.run([*command, *target], check=True, capture_output=True, input=data).stdout
