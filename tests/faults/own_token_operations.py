"""What may be cut anywhere of texts that a user's own token speaks: it lives as long as its job."""

from dataclasses import replace
from typing import Any, ClassVar, Final

from activities.own_tokens import OwnTokens
from activities.speech import SpeechActivities, SpeechRules
from activities.transcription import TierBounds
from contracts.jobs import JobState
from contracts.speech_job import SpeechJob, SpeechState
from runtime.sessions import own_token_seals
from tests.fakes.ports import ScriptedTools
from tests.fakes.scripted_speech import Speaker, engines_of
from tests.fakes.vendor_tokens import GOOD
from tests.faults.speech_operations import (
    BODY,
    KeptStart,
    Reading,
    SpeechDeletedMeanwhile,
    SpeechMade,
)

SETTINGS: Final = {"SESSION_KEY": "a key of the front and of its workers"}
OWN: Final = f"{GOOD}-own"
OWN_BODY: Final = BODY | {"openai_token": OWN}


class OwnReading(Reading):
    """A text with a token."""

    async def order(self) -> None:
        """Have its row, its job and its token."""
        answer = await self.ask("POST", "/tts/generate", json=OWN_BODY)
        assert answer.status_code == 200, answer.text
        self.speech = SpeechJob.model_validate(self.front.starter.started[-1][3])
        self.speaker = Speaker()
        engines = engines_of(self.speaker)
        settings = self.front.settings
        self.steps = SpeechActivities(
            database=self.front.database,
            files=self.files,
            tools=ScriptedTools(),
            engines=replace(
                engines,
                offers=[each.model_copy(update={"own_token": True}) for each in engines.offers],
                tokens=OwnTokens(own_token_seals(settings.sign_in, settings.data_dir).open),
            ),
            bounds=TierBounds(tries=2, backoff_seconds=2),
            rules=SpeechRules(),
        )

    async def secrets(self) -> dict[str, str | None]:
        """What is kept for each job of the user."""
        jobs = [file["jobId"] for file in await self.files_told()]
        async with self.front.database.read() as tx:
            return {job: await tx.secrets.find(job, self.user.id) for job in jobs}


class OwnStart(OwnReading, KeptStart):
    """A text is ordered with a token: where its job is there, its token is."""

    body: ClassVar[dict[str, Any]] = OWN_BODY

    async def check(self) -> None:
        await self.check_files(1)
        assert None not in (await self.secrets()).values()


class OwnStartHealed(OwnStart):
    """The same, and its client never asks again."""

    async def recover(self) -> None:
        await self.heal()

    async def check(self) -> None:
        kept = await self.secrets()
        await self.check_files(len(kept))
        assert None not in kept.values()


class OwnMade(OwnReading, SpeechMade):
    """A text is spoken by its token alone, which is gone when the file is there."""

    async def check(self) -> None:
        assert await self.account() == (150, 0, 0)
        [file] = await self.files_told()
        assert file["status"] == SpeechState.READY
        assert set(self.speaker.tokens) == {OWN}
        assert set((await self.secrets()).values()) == {None}


class OwnCancelled(OwnReading):
    """A text is cancelled while it is spoken."""

    async def prepare(self) -> None:
        await self.order()
        await self.speak(await self.plan(), 0)

    async def act(self) -> None:
        await self.end(JobState.CANCELLED)

    async def check(self) -> None:
        assert (await self.job(self.speech.job_id)).state is JobState.CANCELLED
        assert set((await self.secrets()).values()) == {None}


class OwnDeletedMeanwhile(OwnReading, SpeechDeletedMeanwhile):
    """A text is deleted while it is spoken: no word and no token of it is left."""

    async def check(self) -> None:
        await super().check()
        async with self.front.database.read() as tx:
            assert await tx.secrets.find(self.speech.job_id, self.user.id) is None


OWN_TOKEN_OPERATIONS: Final = (OwnStart, OwnStartHealed, OwnMade, OwnCancelled, OwnDeletedMeanwhile)
