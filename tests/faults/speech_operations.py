"""What may be cut anywhere of texts that are read aloud: as ``operations``, of the same form."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from temporalio.testing import ActivityEnvironment

from activities.batch import StagingSweep
from activities.reconcile import ReconcileActivities, ReconcileAges
from activities.speech import SpeechActivities, SpeechRules
from activities.speech_end import SpeechEndings
from activities.speech_expiry import SpeechExpiry
from activities.transcription import TierBounds
from activities.uploads import UploadSweep
from contracts.jobs import JobFailure, JobState
from contracts.speech_job import (
    EndSpeech,
    JoinSpeech,
    SpeakPart,
    SpeechJob,
    SpeechPlan,
    SpeechState,
)
from contracts.webhooks import WebhookEvent, event_id
from tests.api.reading import spoken
from tests.fakes.ports import ScriptedTools
from tests.fakes.scripted_speech import TEXT, Speaker, engines_of
from tests.faults.operations import KEY, Operation

PRICES: Final = {"SPEECH_CREDITS_PER_1000": 30}
"""Settings of the front: a text costs so many credits."""
PRICE: Final = 30
BODY: Final = {"text": TEXT, "voice": "nova"}
WEEK: Final = timedelta(days=7)
NOW: Final = ReconcileAges(queued=0, running=0, file=0)


class Reading(Operation):
    """A text of a user."""

    async def prepare(self) -> None:
        await self.listen()

    async def heal(self) -> None:
        """One tick of ``reconcile``, an hour after what it finds."""
        front = self.front
        healer = ReconcileActivities(
            front.database, self.files, front.starter, self.endings(), NOW,
            uploads=UploadSweep(front.database, self.files), staged=StagingSweep({}),
        )  # fmt: skip
        await ActivityEnvironment().run(healer.heal)

    async def order(self) -> None:
        """Have its row and its job."""
        answer = await self.ask("POST", "speech", json=BODY)
        assert answer.status_code == 201, answer.text
        self.speech = SpeechJob.model_validate(self.front.starter.started[-1][3])
        self.speaker = Speaker()
        self.steps = SpeechActivities(
            database=self.front.database,
            files=self.files,
            tools=ScriptedTools(),
            engines=engines_of(self.speaker),
            bounds=TierBounds(tries=2, backoff_seconds=2),
            rules=SpeechRules(),
        )

    async def plan(self) -> SpeechPlan:
        return await ActivityEnvironment().run(self.steps.plan_speech, self.speech)

    async def speak(self, plan: SpeechPlan, index: int) -> None:
        order = SpeakPart(job=self.speech, voice=plan.tiers[0].voice, index=index)
        await ActivityEnvironment().run(self.steps.speak_part, order)

    async def end(self, state: JobState, failure: JobFailure | None = None) -> None:
        order = EndSpeech(job=self.speech, state=state, failure=failure)
        await SpeechEndings(self.front.database).end_speech(order)

    async def files_told(self) -> list[dict[str, Any]]:
        """What the user has."""
        told: list[dict[str, Any]] = (await self.ask("GET", "speech")).json()["speech"]
        return told

    async def told(self) -> list[str]:
        return [message.event_id for message in await self.messages()]

    @property
    def stored(self) -> list[str]:
        return [path for path in self.front.stored if self.user.id in path]


class SpeechStart(Reading):
    """A text is ordered, and its client asks again with its key."""

    path: ClassVar = "speech"
    body: ClassVar[dict[str, Any]] = BODY
    headers: ClassVar[dict[str, str]] = KEY

    async def act(self) -> None:
        await self.ask("POST", self.path, json=self.body, headers=self.headers)

    async def recover(self) -> None:
        first = await self.ask_again("POST", self.path, json=self.body, headers=self.headers)
        again = await self.ask("POST", self.path, json=self.body, headers=self.headers)
        assert first.status_code == again.status_code
        assert first.json() == again.json()

    async def check(self) -> None:
        await self.check_files(1)

    async def check_files(self, count: int) -> None:
        files = await self.files_told()
        assert (len(files), len(self.started)) == (count, count)
        assert self.started == [file["jobId"] for file in files]
        assert await self.account() == (150, 0, 0)


class SpeechStartByContent(SpeechStart):
    """The same without a key: equal texts are one."""

    headers: ClassVar[dict[str, str]] = {}


class SpeechStartHealed(SpeechStart):
    """A text is ordered, and its client never asks again: it is there and runs, or is not there."""

    async def recover(self) -> None:
        await self.heal()

    async def check(self) -> None:
        files = await self.files_told()
        assert len(files) <= 1
        await self.check_files(len(files))


class KeptStart(SpeechStart):
    """A client of the older contract, which knows no key."""

    path: ClassVar = "/tts/generate"
    headers: ClassVar[dict[str, str]] = {}


class OpenAIStart(SpeechStart):
    """A client of OpenAI's: nobody speaks here, so it is told to ask again."""

    path: ClassVar = "/v1/audio/speech"
    body: ClassVar[dict[str, Any]] = {"model": "tts-1", "voice": "nova", "input": TEXT}

    async def recover(self) -> None:
        first = await self.ask_again("POST", self.path, json=self.body, headers=self.headers)
        again = await self.ask("POST", self.path, json=self.body, headers=self.headers)
        told = [answer.json()["error"]["code"] for answer in (first, again)]
        assert told == ["still_working", "still_working"]


class SpeechAgain(Reading):
    """A text that failed is asked for again."""

    async def prepare(self) -> None:
        await self.order()
        await self.plan()
        await self.end(JobState.FAILED, JobFailure(code="provider_out", message="No"))
        self.front.starter.live.discard(self.speech.job_id)

    async def act(self) -> None:
        await self.ask("POST", "speech", json=BODY)

    async def recover(self) -> None:
        answer = await self.ask_again("POST", "speech", json=BODY)
        assert answer.json()["speech"]["status"] == "generating"

    async def check(self) -> None:
        job = await self.job(self.speech.job_id)
        assert (job.round, job.state) == (2, JobState.QUEUED)
        assert self.started == [self.speech.job_id] * 2
        assert await self.account() == (150, 0, 0)


class SpeechMade(Reading):
    """A text is planned, spoken and joined; the step whose answer was lost is done again."""

    async def prepare(self) -> None:
        await super().prepare()
        await self.order()
        self.planned: SpeechPlan | None = None
        self.heard = 0

    async def act(self) -> None:
        if self.planned is None:
            self.planned = await self.plan()  # as Temporal knows when it was told
        for index in range(self.heard, 2):
            await self.speak(self.planned, index)
            self.heard += 1
        order = JoinSpeech(job=self.speech, voice=self.planned.tiers[0].voice)
        await ActivityEnvironment().run(self.steps.join_speech, order)

    async def check(self) -> None:
        assert await self.account() == (150 - PRICE, 0, PRICE)
        [file] = await self.files_told()
        assert file["status"] == SpeechState.READY
        audio = await self.ask("GET", f"speech/{file['id']}/audio")
        assert (audio.status_code, len(audio.content)) == (200, 48_000)
        # An answer that was not written down is bought again, once.
        assert 2 <= len(self.speaker.calls) <= 3
        assert await self.told() == [event_id(self.speech.job_id, WebhookEvent.SPEECH_READY)]
        async with self.front.database.read() as tx:
            attempts = await tx.attempts.list(self.speech.job_id, self.user.id)
        assert None not in {attempt.outcome for attempt in attempts}
        assert len(self.stored) == 3


class SpeechFailed(Reading):
    """A text that cannot be spoken ends free of charge; what was spoken of it serves the next."""

    async def prepare(self) -> None:
        await super().prepare()
        await self.order()
        await self.speak(await self.plan(), 0)

    async def act(self) -> None:
        await self.end(JobState.FAILED, JobFailure(code="provider_out", message="No"))

    async def check(self) -> None:
        assert await self.account() == (150, 0, 0)
        [file] = await self.files_told()
        assert (file["status"], file["error"]["code"]) == (SpeechState.FAILED, "provider_out")
        assert await self.told() == [event_id(self.speech.job_id, WebhookEvent.SPEECH_FAILED)]
        assert (await self.plan_again()).tiers[0].missing == (1,)

    async def plan_again(self) -> SpeechPlan:
        """What another text with the same parts lacks."""
        self.front.starter.live.discard(self.speech.job_id)
        answer = await self.ask("POST", "speech", json=BODY | {"format": "flac"})
        assert answer.status_code == 201
        self.speech = SpeechJob.model_validate(self.front.starter.started[-1][3])
        plan = await self.plan()
        await self.end(JobState.CANCELLED)
        return plan


class SpeechDeleted(Reading):
    """A text that is there is deleted: its row, its audio and its parts."""

    async def prepare(self) -> None:
        self.file = await spoken(self.front, self.user)

    async def act(self) -> None:
        await self.ask("DELETE", f"speech/{self.file['id']}")

    async def recover(self) -> None:
        await self.ask("DELETE", f"speech/{self.file['id']}")
        await self.heal()

    async def check(self) -> None:
        assert await self.files_told() == []
        assert (await self.ask("GET", f"speech/{self.file['id']}/audio")).status_code == 404
        assert self.stored == []


class SpeechDeletedMeanwhile(Reading):
    """A text is deleted while it is spoken: its job ends, nothing is charged or left."""

    async def prepare(self) -> None:
        await self.order()
        self.planned = await self.plan()
        await self.speak(self.planned, 0)

    async def act(self) -> None:
        await self.ask("DELETE", f"speech/{self.speech.file_id}")

    async def recover(self) -> None:
        await self.act()
        # Its workflow is told, or finds nothing to speak: either way it ends so.
        await self.end(JobState.CANCELLED)
        await self.heal()

    async def check(self) -> None:
        assert await self.files_told() == []
        assert self.stored == []
        assert (await self.job(self.speech.job_id)).state is JobState.CANCELLED
        assert await self.account() == (150, 0, 0)


class SpeechExpired(Reading):
    """A week after its last use a text goes, with what was kept of it."""

    async def prepare(self) -> None:
        await self._later(self._tick)  # others' are not counted
        self.file = await spoken(self.front, self.user)

    async def act(self) -> None:
        await self._later(self._tick)

    async def recover(self) -> None:
        await self._later(self._tick)
        await self._later(self.heal)

    async def _tick(self) -> None:
        expiry = SpeechExpiry(self.front.database, self.files, WEEK.total_seconds())
        await ActivityEnvironment().run(expiry.expire_speech)

    async def _later(self, step: Callable[[], Any]) -> None:
        self.front.database._clock = lambda: datetime.now(UTC) + WEEK + timedelta(hours=1)
        try:
            await step()
        finally:
            self.front.database._clock = lambda: datetime.now(UTC)

    async def check(self) -> None:
        assert await self.files_told() == []
        assert self.stored == []


SPEECH_OPERATIONS: Final = (
    *(SpeechStart, SpeechStartByContent, SpeechStartHealed, KeptStart, OpenAIStart, SpeechAgain),
    *(SpeechMade, SpeechFailed, SpeechDeleted, SpeechDeletedMeanwhile, SpeechExpired),
)
