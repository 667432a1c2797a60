"""A language model that follows a script; its calls go into the workbook as a chain's do."""

from collections.abc import Awaitable, Callable
from typing import Any

from activities.language_ports import Workbook
from contracts.errors import Failure
from contracts.headline import Headline
from contracts.language import (
    Answer,
    Combination,
    LanguageRequest,
    Memories,
    Memory,
    ModelCall,
    PromptRef,
    Purpose,
    Reading,
    Translation,
    Usage,
    Use,
    Written,
)
from contracts.tiers import AttemptOutcome
from contracts.values import Value

Between = Callable[[Workbook], Awaitable[None]]

HEADLINE = Headline(title="A title", intro="One. Two.", engine="scripted 1")
COMBINED = Combination(headline="Both", intro="Two in one.", text="All of both.")


class ScriptedModel:
    """Answers every request; a Failure in its script is what becomes of the call instead.

    Args:
        script: for one request after the other: a failure, or none; then none for ever.
        tier: ``local`` is the engine that costs nothing.
        between: what happens while a call is under way.
    """

    def __init__(
        self, *script: Failure | None, tier: str = "gemini", between: Between | None = None
    ) -> None:
        self.script = list(script)
        self.tier = tier
        self.between = between
        self.requests: list[LanguageRequest] = []
        self.uses: list[Use] = []
        self.found = True

    async def headline(self, request: LanguageRequest, workbook: Workbook) -> Written[Headline]:
        return await self._write(Use.HEADLINE, HEADLINE, request, workbook)

    async def question(self, request: LanguageRequest, workbook: Workbook) -> Written[Answer]:
        answer = Answer(text=f"Answer to {request.instruction}", found=self.found)
        return await self._write(Use.QUESTION, answer, request, workbook)

    async def combine(self, request: LanguageRequest, workbook: Workbook) -> Written[Combination]:
        return await self._write(Use.COMBINE, COMBINED, request, workbook)

    async def memory(self, request: LanguageRequest, workbook: Workbook) -> Written[Memory]:
        memory = Memory(title="Made up", content=f"As asked: {request.instruction}")
        return await self._write(Use.MEMORY, memory, request, workbook)

    async def blueprint(self, request: LanguageRequest, workbook: Workbook) -> Written[Memories]:
        made = Memories(
            memories=tuple(Memory(title="Made up", content=each.text) for each in request.prompts)
        )
        return await self._write(Use.BLUEPRINT, made, request, workbook)

    async def translate(self, request: LanguageRequest, workbook: Workbook) -> Written[Translation]:
        said = request.sources[0].transcript.utterances
        made = Translation(texts=tuple(f"In English: {each.text}" for each in said))
        return await self._write(Use.TRANSLATE, made, request, workbook)

    async def _write(
        self, use: Use, text: Value, request: LanguageRequest, workbook: Workbook
    ) -> Written[Any]:
        self.uses.append(use)
        self.requests.append(request)
        call = ModelCall(
            number=1, tier=self.tier, provider="scripted", engine="one", purpose=Purpose.WRITE
        )
        await workbook.began(call)
        if self.between is not None:
            await self.between(workbook)
        failure = self.script.pop(0) if self.script else None
        if failure is not None:
            over = {"outcome": AttemptOutcome.FAILED, "seconds": 0.5, "code": failure.code}
            await workbook.ended(call.model_copy(update=over))
            raise failure
        usage = Usage(input_tokens=7, output_tokens=2)
        over = {"outcome": AttemptOutcome.SUCCEEDED, "seconds": 0.5, "usage": usage}
        over["units"] = usage.units
        await workbook.ended(call.model_copy(update=over))
        size = sum(len(source.transcript.text) for source in request.sources)
        return Written[Any](
            text=text,
            prompt=PromptRef(name=use, version=1),
            tier=self.tier,
            provider="scripted",
            engine="one",
            usage=usage,
            reading=Reading(characters_read=size, characters_total=size),
            calls=(),
        )
