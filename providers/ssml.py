"""SSML by an XML library: text that looks like markup is text."""

import xml.etree.ElementTree as ET
from typing import Final

from contracts.speech import Piece

SPEAK: Final = "http://www.w3.org/2001/10/synthesis"
XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"
DEFAULT_LANGUAGE: Final = "en-US"


def ssml(piece: Piece) -> bytes:
    """A part as the voice is to speak it, in the language of its text where that is known.

    Speed is a percentage of the voice's own; Azure takes 0.5 to 2.
    """
    ET.register_namespace("", SPEAK)
    language = piece.language or language_of(piece.voice)
    root = ET.Element(f"{{{SPEAK}}}speak", {"version": "1.0", XML_LANG: language})
    voice = ET.SubElement(root, f"{{{SPEAK}}}voice", {"name": piece.voice})
    inner = voice
    if piece.language is not None:
        inner = ET.SubElement(voice, f"{{{SPEAK}}}lang", {XML_LANG: piece.language})
    if piece.speed != 1:
        rate = f"{(piece.speed - 1) * 100:+.2f}%"
        inner = ET.SubElement(inner, f"{{{SPEAK}}}prosody", {"rate": rate})
    inner.text = piece.text
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def language_of(voice: str) -> str:
    """The language a voice of Azure is named after: ``de-DE`` of ``de-DE-KatjaNeural``."""
    parts = voice.split("-")
    return "-".join(parts[:2]) if len(parts) > 2 else DEFAULT_LANGUAGE  # noqa: PLR2004 - ``xx-YY-Name``
