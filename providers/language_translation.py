"""Translating: in batches of numbered lines, each of them kept as soon as it is there."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from contracts.costs import answered
from contracts.errors import Failure
from contracts.language import PromptRef, Purpose, Translation, Usage, Use
from contracts.reading import divided
from providers import failures
from providers.chat_model import ChatModel
from providers.language_errand import By, Errand
from providers.language_shapes import TranslationShape
from providers.language_tasks import values
from providers.prompt_files import Prompt, fenced, prompt

BATCH_CHARACTERS: Final = 3000
"""Less than the smallest context there is, and an answer no model cuts off."""

BATCH_LINES: Final = 60


class Line(NamedTuple):
    """An utterance, or a piece of one that is too long for one batch."""

    place: int
    text: str


class Translator:
    """One model at work on one request.

    Args:
        parallel: calls at once.
    """

    def __init__(self, model: ChatModel, by: By, parallel: int) -> None:
        self._model = model
        self._by = by
        self._free = asyncio.Semaphore(parallel)
        self._failed: list[Failure] = []

    async def translate(self, errand: Errand) -> tuple[Translation, PromptRef | None]:
        """One text for each utterance; what an earlier attempt has kept is not asked for again.

        After a failure no further call is begun; those under way are waited for.

        Raises:
            ProviderFailure: by ``ChatModel.ask``; or the numbers of an answer are not those asked.
        """
        ours = prompt(Use.TRANSLATE, errand.request.prompt_version)
        utterances = errand.request.sources[0].transcript.utterances
        batches = list(_batches([_flat(each.text) for each in utterances]))
        async with asyncio.TaskGroup() as calls:
            made = [calls.create_task(self._in_turn(errand, ours, batch)) for batch in batches]
        if self._failed:
            raise self._failed[0]
        pieces: list[list[str]] = [[] for _ in utterances]
        for batch, task in zip(batches, made, strict=True):
            for line, text in zip(batch, task.result(), strict=True):
                pieces[line.place].append(text)
        errand.all_was_read(len(batches))
        return Translation(texts=tuple(" ".join(texts) for texts in pieces)), ours.ref

    async def _in_turn(self, errand: Errand, ours: Prompt, batch: Sequence[Line]) -> list[str]:
        async with self._free:
            if self._failed:
                return []
            try:
                return await self._texts(errand, ours, batch)
            except Failure as failure:
                self._failed.append(failure)
                return []

    async def _texts(self, errand: Errand, ours: Prompt, batch: Sequence[Line]) -> list[str]:
        lines = [f"{number}. {line.text}" for number, line in enumerate(batch, start=1)]
        key = hashlib.sha256(json.dumps([str(ours.ref), lines]).encode()).hexdigest()
        if (kept := await errand.workbook.notes(key)) is not None:
            return list(json.loads(kept))
        filled = ours.filled(values(Use.TRANSLATE, errand.request, fenced(lines)))

        async def translated() -> tuple[list[str], Usage]:
            reply = await self._model.ask(filled, TranslationShape)
            with answered(reply.usage.units):
                return _in_order(reply.answer, len(batch), self._by.provider), reply.usage

        size = sum(len(line.text) for line in batch)
        texts = await errand.call(self._by, Purpose.PART, size, translated)
        await errand.workbook.keep_notes(key, json.dumps(texts))
        return texts


def _in_order(shape: TranslationShape, count: int, provider: str) -> list[str]:
    """The texts in the order of the lines: each number once, and no other."""
    ordered = sorted(shape.lines, key=lambda each: each.number)
    if [each.number for each in ordered] != list(range(1, count + 1)):
        raise failures.unreadable(provider)
    return [_flat(each.text) for each in ordered]


def _batches(texts: Sequence[str]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for place, text in enumerate(texts):
        for piece in divided(text, BATCH_CHARACTERS):
            if batch and (size + len(piece) > BATCH_CHARACTERS or len(batch) == BATCH_LINES):
                yield batch
                batch, size = [], 0
            batch.append(Line(place, piece.strip()))
            size += len(piece)
    if batch:
        yield batch


def _flat(text: str) -> str:
    return " ".join(text.split())
