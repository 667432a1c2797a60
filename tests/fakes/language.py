"""What tests of language models share: the vendors behind one name each, a workbook, recordings."""

from collections.abc import Iterable
from typing import Any, Final

from contracts.language import LanguageRequest, MemoryPrompt, ModelCall, Source
from contracts.transcript import Transcript, Utterance
from providers.chat_model import ChatModel
from providers.gemini_client import GeminiServer
from providers.gemini_language import GeminiLanguage
from providers.language_chain import LanguageChain
from providers.language_tiers import PromptedTier
from providers.openai_client import OpenAIServer
from providers.openai_language import OpenAILanguage
from tests.fakes.gemini import FakeGemini
from tests.fakes.openai_language import FakeOpenAILanguage

KEY: Final = "sk-planted-key-0123456789"
VENDORS: Final = (
    "gemini",
    "openai-chat",
    "openai-chat-json",
    "openai-responses",
    "azure-dated",
    "azure-v1",
)


class Stage:
    """Both stand-ins, and models that speak to them."""

    def __init__(self) -> None:
        self.gemini = FakeGemini(key=KEY)
        self.openai = FakeOpenAILanguage(key=KEY)
        self._models: list[ChatModel] = []

    async def start(self) -> None:
        await self.gemini.start()
        await self.openai.start()

    def fake(self, vendor: str) -> FakeGemini | FakeOpenAILanguage:
        return self.gemini if vendor == "gemini" else self.openai

    def model(
        self,
        vendor: str,
        *,
        url: str | None = None,
        key: str = KEY,
        name: str = "some-model",
        context: int = 200_000,
        timeout: float = 20,
        connect: float | None = None,
    ) -> ChatModel:
        """A model by the vendor's name; ``url`` without a path instead of the stand-in's."""
        url = url or self.fake(vendor).url
        model: ChatModel
        if vendor == "gemini":
            model = GeminiLanguage(
                GeminiServer(key, url),
                model=name,
                context_characters=context,
                timeout=timeout,
                connect_seconds=connect,
            )
        else:
            product, _, kind = vendor.partition("-")
            server = OpenAIServer("openai", key, f"{url}/v1")
            if product == "azure":
                version = "v1" if kind == "v1" else "2024-10-21"
                server = OpenAIServer("azure-openai", key, url, version)
            model = OpenAILanguage(
                server,
                model=name,
                context_characters=context,
                timeout=timeout,
                mode="chat-json"
                if kind == "chat-json"
                else "responses"
                if kind == "responses"
                else "chat",
                connect_seconds=connect,
            )
        self._models.append(model)
        return model

    async def reset(self) -> None:
        """Forget calls and faults; close the models of the last test."""
        for fake in (self.gemini, self.openai):
            fake.release()
            fake.faults.clear()
            fake.calls.clear()
        for model in self._models:
            await model.aclose()
        self._models.clear()

    async def aclose(self) -> None:
        await self.reset()
        await self.gemini.aclose()
        await self.openai.aclose()


class MemoryWorkbook:
    """Keeps everything, and says how many calls were under way at once."""

    def __init__(self) -> None:
        self.begun: list[ModelCall] = []
        self.over: list[ModelCall] = []
        self.kept: dict[str, str] = {}
        self.most_at_once = 0

    async def began(self, call: ModelCall) -> None:
        self.begun.append(call)
        self.most_at_once = max(self.most_at_once, len(self.begun) - len(self.over))

    async def ended(self, call: ModelCall) -> None:
        self.over.append(call)

    async def notes(self, key: str) -> str | None:
        return self.kept.get(key)

    async def keep_notes(self, key: str, notes: str) -> None:
        self.kept[key] = notes


def spoken(*lines: str, speakers: int = 0) -> Transcript:
    """A transcript with an utterance for each line; speakers take turns."""
    return Transcript(
        text=" ".join(lines),
        seconds=float(len(lines)),
        utterances=tuple(
            Utterance(
                text=line,
                offset=at * 1000,
                duration=1000,
                speaker=at % speakers + 1 if speakers else None,
            )
            for at, line in enumerate(lines)
        ),
        speakers={str(number): f"Speaker {number}" for number in range(1, speakers + 1)},
    )


def marked(count: int, every: int = 1) -> Transcript:
    """A transcript in which every so many sentences one carries a mark the stand-ins repeat."""
    return spoken(
        *(
            f"Boat {f'MARK-{n}' if n % every == 0 else 'again'} came home to the harbour at dusk."
            for n in range(count)
        )
    )


def request(
    *transcripts: Transcript,
    language: str | None = "en-US",
    instruction: str = "How many boats came home?",
    prompts: Iterable[str] = ("List the boats.", "Name the harbour."),
) -> LanguageRequest:
    return LanguageRequest(
        sources=tuple(Source(transcript=each) for each in transcripts),
        language=language,
        instruction=instruction,
        prompts=tuple(MemoryPrompt(text=text) for text in prompts),
    )


def chain(stage: Stage, *vendors: str, parallel: int = 3, **options: Any) -> LanguageChain:
    """A tier for each vendor, named like it."""
    return LanguageChain(
        [
            PromptedTier(vendor, stage.model(vendor, **options), parallel=parallel)
            for vendor in vendors
        ]
    )


def sent(stage: Stage, vendor: str) -> list[dict[str, Any]]:
    """The calls that a vendor got."""
    return stage.fake(vendor).calls
