"""What a recogniser hears when it knows which words there are: exact, on clear speech."""

from functools import cache
from typing import Any

VOICE = "+f2"
"""Of espeak's voices the one that pocketsphinx understands without a mistake, at that speed."""
SPEED = 0.8

WORDS = (
    "banana",
    "elephant",
    "computer",
    "umbrella",
    "telephone",
    "september",
    "potato",
    "monday",
    "hospital",
    "university",
    "chicago",
    "wonderful",
)


def heard_words(pcm: bytes) -> list[str]:
    """Which of ``WORDS`` are said in 16 kHz mono samples, in order."""
    decoder, ears = _decoder()
    decoder.set_cmn(ears)  # as they were before the first: they get used to what they hear
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return [
        each.word.partition("(")[0]
        for each in decoder.seg() or ()
        if not each.word.startswith(("<", "["))
    ]


@cache
def _decoder() -> tuple[Any, str]:
    from pocketsphinx import Decoder  # noqa: PLC0415 - 100 MB that few tests need

    decoder = Decoder(samprate=16_000, loglevel="FATAL", lm=None)
    words = " | ".join(WORDS)
    grammar = f"#JSGF V1.0; grammar words; public <words> = ({words})+;"
    decoder.add_jsgf_string("words", grammar)
    decoder.activate_search("words")
    return decoder, str(decoder.get_cmn())
