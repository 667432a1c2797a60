"""Writes what is said about the settings: ``.env.example`` and the tables of docs/configuration.md.

Both come from ``runtime/settings_groups.py`` alone; a test fails while they say something else.

    python tools/settings_documents.py
"""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic.fields import FieldInfo

from runtime.settings import Settings

ROOT: Final = Path(__file__).resolve().parent.parent
EXAMPLE: Final = ROOT / ".env.example"
CONFIGURATION: Final = ROOT / "docs" / "configuration.md"
BEGIN: Final = "<!-- settings: written by tools/settings_documents.py -->"
END: Final = "<!-- end of settings -->"
WIDTH: Final = 98


def main() -> None:
    """Write both files."""
    EXAMPLE.write_text(example())
    CONFIGURATION.write_text(configuration(CONFIGURATION.read_text()))


def example() -> str:
    """The whole of ``.env.example``."""
    lines = [
        "# Every setting with its default. Copy this file to .env and take the # away from what",
        "# you change; the environment wins over .env. More words: docs/configuration.md.",
    ]
    for title, settings in groups():
        lines += ["", f"# --- {title} {'-' * (WIDTH - len(title) - 7)}"]
        for name, default, meaning in settings:
            lines += [
                "",
                *textwrap.wrap(meaning, WIDTH, initial_indent="# ", subsequent_indent="# "),
            ]
            lines.append(f"#{name}={default}")
    return "\n".join(lines) + "\n"


def configuration(text: str) -> str:
    """docs/configuration.md with its tables made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{tables()}\n{END}{tail}"


def tables() -> str:
    """One table for each group."""
    lines: list[str] = []
    for title, settings in groups():
        lines += ["", f"## {title}", "", "| name | default | meaning |", "|---|---|---|"]
        for name, default, meaning in settings:
            shown = f"`{default}`" if default else "unset"
            lines.append(f"| `{name}` | {shown} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def groups() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Title of each group, and name, default and meaning of its settings."""
    for _, group in Settings.groups():
        fields = group.model_fields.values()
        yield (
            group.title,
            [
                (str(field.validation_alias), written(field), str(field.description))
                for field in fields
            ],
        )


def written(field: FieldInfo) -> str:
    """A default as one would write it in ``.env``; empty for unset."""
    value: Any = field.default
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


if __name__ == "__main__":
    main()
