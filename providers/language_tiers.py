"""How one tier serves a request: a model by map and reduce, the local engine by itself."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, Protocol, TypeVar

from contracts.costs import answered
from contracts.errors import Failure, ProviderBroken, TooLongForProvider
from contracts.language import PromptRef, Purpose, Translation, Usage
from contracts.reading import parts
from contracts.values import Value
from providers.chat_model import ChatModel
from providers.language_errand import By, Errand, Material
from providers.language_shapes import NotesShape
from providers.language_tasks import Task, Wrote, values
from providers.language_translation import Translator
from providers.local_language import LocalLanguage
from providers.prompt_files import fenced, prompt

SMALLEST_CONTEXT: Final = 4000
"""Characters; a model that refuses even this as too long is of no use."""
NOTES: Final = "notes"

_SHARE_OF_NOTES: Final = 0.8  # of the context, when all of them are read together
_LARGEST_NOTES: Final = 4  # of a context, at most the fourth part of it
_SMALLEST_NOTES: Final = 500  # characters: less says nothing
_HEADING: Final = "[Notes on a part that is too long to be read at once]"

Text = TypeVar("Text", bound=Value)


class LanguageTier(Protocol):
    """One entry of ``LANGUAGE_MODEL_TIERS``."""

    @property
    def by(self) -> By:
        """Its name, vendor and model."""

    async def write(self, task: Task[Any, Text], errand: Errand) -> tuple[Text, PromptRef | None]:
        """Serve the request, or fail so that the next tier goes on with what was noted.

        Raises:
            ProviderFailure: by ``ChatModel.ask``.
        """

    async def aclose(self) -> None:
        """Close what it opened; safe to call twice."""


class LocalTier:
    """The engine without a model; it reads the recordings themselves, whatever was noted."""

    def __init__(self, name: str, engine: LocalLanguage) -> None:
        self._engine = engine
        self._by = By(name, engine.provider, engine.engine)

    @property
    def by(self) -> By:
        """Its name and engine."""
        return self._by

    async def write(self, task: Task[Any, Text], errand: Errand) -> tuple[Text, PromptRef | None]:
        """Choose sentences; one call of no vendor."""

        async def extracted() -> tuple[Text, Usage]:
            return await task.extract(self._engine, errand.request), Usage()

        size = errand.reading.characters_total
        text = await errand.call(self._by, Purpose.WRITE, size, extracted)
        errand.all_was_read()
        return text, None

    async def aclose(self) -> None:
        """The pool belongs to whoever made it."""


class PromptedTier:
    """A model. What does not fit into one call is noted part by part, and written from the notes.

    Args:
        name: as in ``LANGUAGE_MODEL_TIERS``.
        parallel: calls for notes at once.
    """

    def __init__(self, name: str, model: ChatModel, *, parallel: int) -> None:
        self._model = model
        self._parallel = parallel
        self._by = By(name, model.provider, model.engine)

    @property
    def by(self) -> By:
        """Its name, vendor and model."""
        return self._by

    async def write(self, task: Task[Any, Text], errand: Errand) -> tuple[Text, PromptRef | None]:
        """Read until it fits, then write.

        A model that takes less than its setting says is asked again with half of it.
        """
        room = self._model.context_characters
        while True:
            try:
                while errand.size > room:
                    await self._condense(task, errand, room)
                return await self._finish(task, errand)
            except TooLongForProvider:
                tried = min(room, errand.size)
                if tried <= SMALLEST_CONTEXT:
                    raise
                room = max(SMALLEST_CONTEXT, tried // 2)

    async def translate(self, errand: Errand) -> tuple[Translation, PromptRef | None]:
        """Translate every utterance; what an earlier tier has translated stays as it is."""
        return await Translator(self._model, self._by, self._parallel).translate(errand)

    async def aclose(self) -> None:
        """Close the model's connections; safe to call twice."""
        await self._model.aclose()

    async def _finish(self, task: Task[Any, Text], errand: Errand) -> tuple[Text, PromptRef | None]:
        ours = prompt(task.use, errand.request.prompt_version)
        filled = ours.filled(values(task.use, errand.request, fenced(_shown(errand.material))))

        async def written() -> tuple[Text, Usage]:
            reply = await self._model.ask(filled, task.shape)
            by = Wrote(self._by.provider, self._by.engine)
            with answered(reply.usage.units):
                return task.made(reply.answer, errand.request, by), reply.usage

        text = await errand.call(self._by, Purpose.WRITE, errand.size, written)
        errand.was_read(errand.material)
        return text, ours.ref

    async def _condense(self, task: Task[Any, Text], errand: Errand, room: int) -> None:
        """Replace what was said by notes; when there is nothing but notes, notes by fewer notes.

        Notes that were taken are kept when others fail; calls under way are waited for.
        """
        again = all(each.notes for each in errand.material)
        pieces = _divided(errand.material, room, again=again)
        wanted = [at for at, each in enumerate(pieces) if each.notes == again]
        share = int(room * _SHARE_OF_NOTES) // len(pieces)
        limit = max(_SMALLEST_NOTES, min(share, room // _LARGEST_NOTES))
        free = asyncio.Semaphore(self._parallel)
        failed: list[Failure] = []

        async def note(at: int) -> None:
            async with free:
                if failed:
                    return
                try:
                    notes = await self._notes(task, errand, pieces[at], limit)
                except Failure as failure:
                    failed.append(failure)
                else:
                    errand.was_read([pieces[at]])
                    pieces[at] = Material((notes,), notes=True)

        async with asyncio.TaskGroup() as calls:
            for at in wanted:
                calls.create_task(note(at))
        errand.material = pieces
        if failed:
            raise next((f for f in failed if not isinstance(f, TooLongForProvider)), failed[0])

    async def _notes(
        self, task: Task[Any, Text], errand: Errand, part: Material, limit: int
    ) -> str:
        ours = prompt(NOTES)
        told = values(task.use, errand.request, fenced(_shown([part])))
        wanted = prompt(task.use, errand.request.prompt_version).as_task(told)
        filled = ours.filled({**told, "instruction": wanted, "limit": str(limit)})
        key = _key(ours.ref, wanted, part.lines)
        if (kept := await errand.workbook.notes(key)) is not None:
            return kept

        async def noted() -> tuple[str, Usage]:
            reply = await self._model.ask(filled, NotesShape)
            if len(reply.answer.notes) > max(part.size // 2, min(limit, part.size)):
                # Longer notes would never come to an end; shorter ones would have to be cut.
                message = f"{self._by.provider}'s notes are as long as what it read"
                with answered(reply.usage.units):
                    raise ProviderBroken(message, code="notes_too_long")
            return reply.answer.notes, reply.usage

        notes = await errand.call(self._by, Purpose.NOTES, part.size, noted)
        await errand.workbook.keep_notes(key, notes)
        return notes


def _divided(material: Sequence[Material], room: int, *, again: bool) -> list[Material]:
    """What is to be noted in parts that fit; the rest as it is, all of it in its order.

    Args:
        again: there is nothing but notes; they are to be noted themselves.
    """
    if again:
        every = [line for each in material for line in each.lines]
        return [Material(part, notes=True) for part in parts(every, room)]
    divided: list[Material] = []
    for each in material:
        divided += [each] if each.notes else map(Material, parts(each.lines, room))
    return divided


def _shown(material: Sequence[Material]) -> list[str]:
    """Lines as a model gets them."""
    return [
        line
        for each in material
        for line in ((_HEADING, *each.lines) if each.notes else each.lines)
    ]


def _key(ref: PromptRef, task: str, lines: Sequence[str]) -> str:
    """The same part, read for the same task with the same prompt."""
    return hashlib.sha256(json.dumps([str(ref), task, lines]).encode()).hexdigest()
