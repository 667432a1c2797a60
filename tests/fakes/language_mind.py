"""What stands behind the stand-ins for language models: answers by schema, made of what was sent.

Every text it writes holds the words like ``MARK-17`` it found in the user part, so a test can tell
what was read. It writes German when the system part asks for a tag that begins with ``de``.
Words in the user part change how it answers: ``%%blocked%%``, ``%%truncated%%``, ``%%refused%%``,
``%%empty%%``, ``%%blank%%`` (fields without text), ``%%shapeless%%`` (JSON of another shape),
``%%long%%`` (a headline far too long), ``%%wordy%%`` (notes as long as the part); of translations
``%%missing%%``, ``%%extra%%`` and ``%%twice%%`` (numbers that are not those of the lines).
"""

import json
import re
from typing import Any, Final

MARKS: Final = re.compile(r"MARK-\d+")
MOODS: Final = re.compile(r"%%(\w+)%%")
TAG: Final = re.compile(r"BCP 47 tag ([A-Za-z-]+)")
NUMBERED: Final = re.compile(r"^\d+\. ", re.MULTILINE)
LINE: Final = re.compile(r"^(\d+)\. (.*)$", re.MULTILINE)
ENGLISH: Final = "In English: "
"""How the translation of a line begins; the line follows."""

WORDS: Final = {
    "en": ("Harbour lights at evening", "The harbour was quiet.", "Seven boats came home."),
    "de": ("Lichter im Hafen am Abend", "Der Hafen war still.", "Sieben Boote kamen heim."),
}


def mood(user: str) -> str:
    """How the answer is to go wrong; empty when it is not."""
    found = MOODS.search(user)
    return found[1] if found else ""


def answer(schema: dict[str, Any], system: str, user: str) -> str:
    """JSON of the schema."""
    if mood(user) == "empty":
        return ""
    if mood(user) == "shapeless":
        return json.dumps({"something": ["else"]})
    if "lines" in schema.get("properties", {}) and mood(user) != "blank":
        return json.dumps({"lines": _lines(user)}, ensure_ascii=False)
    return json.dumps(_value(schema, schema, "", system, user), ensure_ascii=False)


def _lines(user: str) -> list[dict[str, Any]]:
    """Every numbered line, last line first: who reads them has to look at the numbers."""
    lines = [
        {"number": int(number), "text": f"{ENGLISH}{text}"} for number, text in LINE.findall(user)
    ]
    if mood(user) == "missing":
        lines.pop()
    if mood(user) == "extra":
        lines.append({"number": len(lines) + 1, "text": "Nobody said that."})
    if mood(user) == "twice":
        lines[-1]["number"] = lines[0]["number"]
    return lines[::-1]


def _value(schema: dict[str, Any], root: dict[str, Any], name: str, system: str, user: str) -> Any:
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    kind = str(schema.get("type", "")).lower()
    if kind == "object":
        fields = schema["properties"].items()
        return {key: _value(inner, root, key, system, user) for key, inner in fields}
    if kind == "array":
        count = len(NUMBERED.findall(user)) or 1
        return [_value(schema["items"], root, name, system, user) for _ in range(count)]
    return {"boolean": True, "integer": 1, "number": 1.0}.get(kind) or _text(name, system, user)


def _text(name: str, system: str, user: str) -> str:
    tag = TAG.search(system)
    title, first, second = WORDS["de" if tag and tag[1].lower().startswith("de") else "en"]
    if mood(user) == "blank":
        return "  "
    if name in {"headline", "title"}:
        return f'"{title} {"and much more " * 9}"' if mood(user) == "long" else title
    if name == "notes" and mood(user) == "wordy":
        return user
    marks = " ".join(dict.fromkeys(MARKS.findall(user)))
    return f"{first} {second} {marks}".strip()
