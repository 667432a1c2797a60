"""Starts the job of a text that is to be read aloud, by ``job_start``: once for equal requests."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from api.dependencies import Services
from api.idempotency import Key
from api.job_start import Entered, JobStart, check_credits
from api.own_token import OwnToken
from api.shapes.speech import SpeechStarted, SpeechView
from contracts.errors import NotFound
from contracts.ids import SPEECH, speech_job
from contracts.jobs import LONGEST_JOB_SECONDS, JobState, StaleJob
from contracts.pricing import speech_price
from contracts.speech import SpeechOrder
from contracts.speech_job import SpeechFile, SpeechJob, SpeechState
from contracts.speech_setup import check_names

if TYPE_CHECKING:
    from store.database import Transaction

CREATED: Final = 201


class SpeechStart:
    """Accepts texts: a file that is there is the answer, one that is being made is joined."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.speech

    async def start(
        self, user_id: str, order: SpeechOrder, key: Key | None, own: OwnToken | None = None
    ) -> SpeechFile:
        """Accept a text: its file is there, or its job runs, once this returns.

        Args:
            own: the user's own token, that is to speak if anybody has to.

        Raises:
            InvalidInput: ``unknown_voice``, ``unknown_model`` or ``own_token_not_taken``.
            InsufficientCredits: too few are free.
            KeyReused: the key came before with another request.
            Unauthenticated: ``vendor_token_refused``.
            Unavailable: Temporal, the database or who knows such tokens is away; nothing was begun.
        """
        setup = self._services.settings.speech_setup
        if own is None:
            check_names(setup, order.voice, order.model)
        elif not await self._under_way(user_id, order):
            check_names(setup, order.voice, order.model, own_token=True)
            await own.prove()

        if key is None and (there := await self._there(user_id, order)) is not None:
            return there

        async def enter(tx: "Transaction") -> Entered:
            return await self._enter(tx, user_id, order, own)

        entered = await JobStart(self._services, CREATED).start(user_id, key, enter)
        async with self._services.database.read() as tx:
            file = await tx.speech.find(entered.answer["speech"]["id"], user_id)
        if file is None:
            raise NotFound
        return file

    async def _under_way(self, user_id: str, order: SpeechOrder) -> bool:
        """Whether nobody need be asked to speak: the file is there, or being made."""
        async with self._services.database.read() as tx:
            file = await tx.speech.of_content(user_id, order.content_hash)
            if file is None or file.state is not SpeechState.GENERATING:
                return file is not None and file.state is SpeechState.READY
            state = await tx.jobs.state(file.job_id, user_id)
        return state is not None and not state.final

    async def _there(self, user_id: str, order: SpeechOrder) -> SpeechFile | None:
        """The file, when nothing has to be written: most requests for one that there is."""
        async with self._services.database.read() as tx:
            file = await tx.speech.of_content(user_id, order.content_hash)
            if file is None or file.state is SpeechState.FAILED:
                return None
            if file.state is SpeechState.GENERATING:
                state = await tx.jobs.state(file.job_id, user_id)
                return file if state is JobState.RUNNING else None
        return file if file.used_lately(datetime.now(UTC)) else None

    async def _enter(
        self, tx: "Transaction", user_id: str, order: SpeechOrder, own: OwnToken | None
    ) -> Entered:
        keep = self._settings.keep_seconds
        file = await tx.speech.of_content(user_id, order.content_hash)
        if file is None:
            await check_credits(tx, user_id, self._price(order, own))
            file_id = str(uuid4())
            file = await tx.speech.add(
                file_id, user_id, speech_job(file_id), order, keep_seconds=keep
            )
        if file.state is SpeechState.READY:
            await tx.speech.use(file.id, user_id, keep_seconds=keep)
            return Entered(_answer(file), None)
        job = await tx.jobs.find(file.job_id, user_id)
        if job is None:
            return await self._create(tx, file, own)
        if not job.state.final:
            return Entered(_answer(file), await tx.jobs.described(file.job_id, user_id))
        return await self._again(tx, file, own)

    async def _create(self, tx: "Transaction", file: SpeechFile, own: OwnToken | None) -> Entered:
        request = self._job(file, own).model_dump(mode="json")
        await tx.jobs.create(
            file.job_id,
            file.user_id,
            kind=SPEECH,
            subject_id=file.id,
            request=request,
            deadline_seconds=LONGEST_JOB_SECONDS,
        )
        if own is not None:
            await own.keep(tx, file.job_id, file.user_id)
        job = StaleJob(id=file.job_id, kind=SPEECH, user_id=file.user_id, request=request)
        return Entered(_answer(file), job, fresh=True)

    async def _again(self, tx: "Transaction", file: SpeechFile, own: OwnToken | None) -> Entered:
        """Have one made that failed before; by whose token is said anew."""
        await check_credits(tx, file.user_id, self._price(file.order, own))
        await tx.speech.again(file.id, file.user_id, keep_seconds=self._settings.keep_seconds)
        changes = self._job(file, own).model_dump(mode="json", exclude={"round"})
        job = await tx.jobs.requeue(
            file.job_id, file.user_id, deadline_seconds=LONGEST_JOB_SECONDS, changes=changes
        )
        if own is not None:
            await own.keep(tx, file.job_id, file.user_id)
        return Entered(_answer(file), job)

    def _price(self, order: SpeechOrder, own: OwnToken | None) -> int:
        wanted = self._settings
        per_1000 = wanted.credits_per_1000 if own is None else wanted.own_token_credits_per_1000
        return speech_price(len(order.text), per_1000)

    def _job(self, file: SpeechFile, own: OwnToken | None) -> SpeechJob:
        return SpeechJob(
            job_id=file.job_id,
            user_id=file.user_id,
            file_id=file.id,
            form=file.order.format,
            price=self._price(file.order, own),
            window=self._settings.parallel_parts,
            heartbeat_seconds=self._services.settings.limits.heartbeat_timeout_seconds,
            own_token=own is not None,
        )


def _answer(file: SpeechFile) -> Mapping[str, Any]:
    """What is kept beside a key; what the client gets is read from the row."""
    started = SpeechStarted(speech=SpeechView.of(file))
    told: dict[str, Any] = started.model_dump(mode="json", by_alias=True)
    return told | {"jobId": file.job_id}
