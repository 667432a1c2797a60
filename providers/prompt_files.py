"""Our prompts: files with a version, read once.

``prompts/<name>.<version>.md`` begins with its temperature and its task in a few words (for the
notes on parts of a long text); then come the two parts of the request. A prompt that is in use is
never changed: a better one is a file with the next version.

Whatever is said in a recording goes into the user part alone, between two lines that carry a mark
made of the text itself, so that no text can hold its own mark and end its block early.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from string import Template
from typing import Final, NamedTuple

from contracts.errors import ProviderOut
from contracts.language import PromptRef

_FILE: Final = re.compile(r"(?P<name>[a-z]+)\.(?P<version>\d+)\.md")
_FORM: Final = re.compile(
    r"temperature: (?P<temperature>[\d.]+)\ntask: (?P<task>.+)\n\n"
    r"# System\n\n(?P<system>.+?)\n\n# User\n\n(?P<user>.+?)\n*",
    re.DOTALL,
)
_PLACE: Final = re.compile(r"\$[a-z]+")
_MARK_CHARACTERS: Final = 24


class Filled(NamedTuple):
    """A prompt with everything in it, ready to be sent.

    Attributes:
        system: ours alone; nothing that a user wrote or said.
        user: the data, and what the owner asks.
    """

    ref: PromptRef
    system: str
    user: str
    temperature: float


class Prompt(NamedTuple):
    """One file."""

    ref: PromptRef
    temperature: float
    task: str
    system: str
    user: str

    def filled(self, values: Mapping[str, str]) -> Filled:
        """Put the values in; a paragraph that is nothing but an empty value is left out."""
        return Filled(
            ref=self.ref,
            system=_put(self.system, values),
            user=_put(self.user, values),
            temperature=self.temperature,
        )

    def as_task(self, values: Mapping[str, str]) -> str:
        """What is to be done, in one sentence."""
        return _put(self.task, values).strip()


def _put(text: str, values: Mapping[str, str]) -> str:
    paragraphs = [
        paragraph
        for paragraph in text.split("\n\n")
        if not (_PLACE.fullmatch(paragraph) and not values[paragraph[1:]])
    ]
    return Template("\n\n".join(paragraphs)).substitute(values)


@cache
def prompts() -> Mapping[PromptRef, Prompt]:
    """Every prompt there is."""
    found: dict[PromptRef, Prompt] = {}
    for file in files("providers").joinpath("prompts").iterdir():
        if name := _FILE.fullmatch(file.name):
            ref = PromptRef(name=name["name"], version=int(name["version"]))
            found[ref] = _parsed(ref, file.read_text("utf-8"))
    return found


def _parsed(ref: PromptRef, text: str) -> Prompt:
    parts = _FORM.fullmatch(text)
    if parts is None:
        raise ValueError(f"The prompt {ref} is not of the form it must have")
    return Prompt(
        ref=ref,
        temperature=float(parts["temperature"]),
        task=parts["task"],
        system=parts["system"],
        user=parts["user"],
    )


def prompt(name: str, version: int | None = None) -> Prompt:
    """The prompt of that name; the newest, unless a version is asked for.

    Raises:
        ProviderOut: there is no such version.
    """
    versions = [ref.version for ref in prompts() if ref.name == name]
    ref = PromptRef(name=name, version=max(versions) if version is None else version)
    if ref not in prompts():
        raise ProviderOut(f"There is no prompt {ref}")
    return prompts()[ref]


def fenced(lines: Iterable[str]) -> str:
    """Lines of data between a BEGIN and an END line."""
    text = "\n".join(lines)
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_CHARACTERS]
    return f"BEGIN {mark}\n{text}\nEND {mark}"


def named_language(tag: str | None) -> str:
    """How a prompt names the language to write in; a tag of another form than BCP 47's is not."""
    if tag and re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", tag):
        return f"the language with the BCP 47 tag {tag}"
    return "the language of the recordings"
