"""Starts the job of a memo, by ``job_start``: what its rows are, and which requests join one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from api.dependencies import Services
from api.egress import MediaAddress
from api.idempotency import Key
from api.job_start import Entered, JobStart, check_credits
from api.shapes.fields import Answer
from api.shapes.memos import MemoOptions, MemoStarted, MemoView, Reprocessed
from api.user_settings import user_settings
from contracts.errors import Conflict, Forbidden, NotFound
from contracts.headline import default_title
from contracts.ids import MEMO, memo_job
from contracts.jobs import LONGEST_JOB_SECONDS, Job, JobState, StaleJob
from contracts.memo import Memo, MemoJob, MemoStatus
from contracts.pricing import transcription_price
from contracts.webhooks import Delivery, MemoEventData, WebhookEvent, new_secret

if TYPE_CHECKING:
    from store.database import Transaction

CREATED: Final = 201
MEMO_EXISTS: Final = "memo_exists"
INVALID_TRANSITION: Final = "invalid_transition"
FINISHED: Final = frozenset({JobState.COMPLETED, JobState.COMPLETED_NO_TRANSCRIPT})


class Recording(NamedTuple):
    """What a user asks to be transcribed.

    Attributes:
        path: storage key, checked to be the user's own.
        seconds: as the client claims.
        media_type: as the first bytes say, or else as the client claims.
        language: what the client asks for, for the title until there is a headline.
        address: where it has to be fetched from, when it is not in storage.
        original: the memo whose recording it is, when that is transcribed anew.
    """

    user_id: str
    path: str
    seconds: float
    media_type: str
    options: MemoOptions
    language: str | None
    address: MediaAddress | None = None
    original: str | None = None


class Started(NamedTuple):
    """The answer, and whether it stands on this very recording's file or on an earlier one."""

    answer: Mapping[str, Any]
    adopted: bool


class MemoStart:
    """Accepts recordings and starts their jobs."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def start(self, recording: Recording, key: Key | None) -> Started:
        """Accept a recording: its job exists, and runs, once this returns.

        Raises:
            NotFound: the memo id is somebody else's.
            Forbidden: the user is no member of the space.
            Conflict: ``already_running``, ``already_finished``, or ``key_in_use``.
            KeyReused: the key came before with another request.
            InsufficientCredits: too few are free for the claimed length.
            OutcomeUnknown: the database went away in the very moment of the commit.
            Unavailable: Temporal or the database is away; nothing was begun.
        """
        if recording.options.webhook_url is not None:
            await self._services.egress.check(recording.options.webhook_url)

        async def enter(tx: "Transaction") -> Entered:
            return await _Rows(tx, self._services, recording).enter()

        entered = await JobStart(self._services, CREATED).start(recording.user_id, key, enter)
        return Started(entered.answer, adopted=not entered.repeated)


class _Rows:
    """The rows of one recording, in one transaction."""

    def __init__(self, tx: "Transaction", services: Services, recording: Recording) -> None:
        self._tx = tx
        self._services = services
        self._recording = recording
        self._user_id = recording.user_id
        self._options = recording.options
        self._fetch = recording.address is not None

    async def enter(self) -> Entered:
        """Write them, or find them; the checks come in the order the contract names."""
        if self._recording.original is not None:
            await self._tx.memos.keep(self._recording.original, self._user_id)
        memo_id = self._options.memo_id
        memo = None if memo_id is None else await self._tx.memos.find(memo_id, self._user_id)
        if memo is not None and memo.user_id != self._user_id:
            raise NotFound
        await self._check_blueprint(self._options.blueprint_id)
        if self._options.space_id is not None:
            await self._check_member(self._options.space_id)
        if memo is None:
            return await self._create_or_join(memo_id or str(uuid4()))
        return await self._again(memo)

    async def _create_or_join(self, memo_id: str) -> Entered:
        try:
            return await self._create(memo_id)
        except Conflict as conflict:
            if conflict.code != MEMO_EXISTS:
                raise
            # Another request with this id was written since we looked, or it is erased.
            memo = await self._tx.memos.find(memo_id, self._user_id)
            if memo is None:
                raise
            return await self._again(memo)

    async def _check_member(self, space_id: str) -> None:
        if await self._tx.spaces.role(space_id, self._user_id) is None:
            raise Forbidden("Not a member of this space")

    async def _check_blueprint(self, blueprint_id: str | None) -> None:
        if blueprint_id is None:
            return
        if await self._tx.blueprints.find(blueprint_id, self._user_id) is None:
            raise NotFound

    async def _check_credits(self) -> None:
        price = transcription_price(self._recording.seconds)
        await check_credits(self._tx, self._user_id, price, space_id=self._options.space_id)

    async def _create(self, memo_id: str) -> Entered:
        request = self._request(memo_id)
        # Before the price: somebody else's memo of that id is 404, one's own that is erased 409.
        memo = await self._tx.memos.create(
            memo_id,
            self._user_id,
            title=self._options.title or default_title(await self._language()),
            title_by_user=self._options.title is not None,
            source=self._source(),
            metadata=self._metadata(),
            job_id=request.job_id,
        )
        await self._check_credits()
        request = request.model_copy(update={"announced": await self._announce(memo_id)})
        await self._tx.jobs.create(
            request.job_id,
            self._user_id,
            kind=MEMO,
            subject_id=memo_id,
            request=request.model_dump(mode="json"),
            deadline_seconds=LONGEST_JOB_SECONDS,
        )
        await self._stand_on(memo_id)
        return self._entered(memo, _described(request), fresh=True)

    async def _announce(self, memo_id: str) -> tuple[Delivery, ...]:
        """The messages about a new memo, its own address among those that get them."""
        await self._hook(memo_id)
        job_id = memo_job(memo_id)
        said = MemoEventData(memo_id=memo_id, job_id=job_id, status=MemoStatus.PENDING)
        return await self._tx.webhooks.announce(
            self._user_id, WebhookEvent.MEMO_CREATED, said, subject=job_id, job_id=job_id
        )

    async def _hook(self, memo_id: str) -> None:
        """Keep the address that came with this memo."""
        url, secret = self._options.webhook_url, self._options.webhook_secret
        if url is None:
            return
        seal = self._services.egress.seal
        if secret is None:
            await self._tx.webhook_endpoints.account_secret(
                self._user_id, seal(new_secret(), self._user_id)
            )
        await self._tx.webhook_endpoints.add_for_job(
            self._user_id,
            memo_job(memo_id),
            url,
            secret=None if secret is None else seal(secret, self._user_id),
        )

    async def _language(self) -> str | None:
        """The user's: as set, else as their client asks for."""
        settings = await user_settings(self._tx, self._user_id)
        return settings.language or self._recording.language

    async def _again(self, memo: Memo) -> Entered:
        job = await self._tx.jobs.find(memo_job(memo.id), self._user_id)
        if job is None:
            raise Conflict("There is a memo of that id", code=MEMO_EXISTS)
        self._know_again(job)
        if job.state in FINISHED:
            raise Conflict("The memo has been transcribed already", code="already_finished")
        if job.state.final:
            return await self._new_round_or_join(memo, job)
        return self._join(memo, job)

    def _join(self, memo: Memo, job: Job) -> Entered:
        """Answer as the first try did, whose answer may have been lost."""
        if job.state is JobState.RUNNING or job.request["audio_path"] != self._recording.path:
            raise Conflict("The memo is being transcribed", code="already_running")
        stale = StaleJob(id=job.id, kind=job.kind, user_id=job.user_id, request=job.request)
        return self._entered(memo, stale)

    async def _new_round_or_join(self, memo: Memo, job: Job) -> Entered:
        try:
            return await self._new_round(memo, job)
        except Conflict as conflict:
            if conflict.code != INVALID_TRANSITION:
                raise
            # Another request has begun the round since we looked.
            found = await self._tx.jobs.find(job.id, self._user_id)
            if found is None or found.state.final:
                raise
            return self._join(memo, found)

    def _know_again(self, job: Job) -> None:
        """What is at the same address as before has its place, and may be stored there already."""
        address = self._recording.address
        if address is not None and job.request.get("address_digest") == address.digest:
            self._recording = self._recording._replace(path=job.request["audio_path"])
            self._fetch = bool(job.request.get("fetch"))

    async def _new_round(self, memo: Memo, job: Job) -> Entered:
        """Run a failed or cancelled job again, with what is asked for now."""
        request = self._request(memo.id)
        moved = job.request["audio_path"] != request.audio_path
        if moved and await self._tx.transcripts.find(job.id, self._user_id) is not None:
            # What was heard of the old file would be given out as what is in the new one.
            raise Conflict("The memo stands on another recording", code=MEMO_EXISTS)
        await self._check_credits()
        stale = await self._tx.jobs.requeue(
            job.id,
            self._user_id,
            deadline_seconds=LONGEST_JOB_SECONDS,
            changes=request.model_dump(mode="json", exclude={"round", "announced"}),
        )
        await self._hook(memo.id)
        memo = await self._tx.memos.begin_again(memo.id, self._user_id, source=self._source())
        await self._stand_on(memo.id)
        return self._entered(memo, stale)

    async def _stand_on(self, memo_id: str) -> None:
        await self._tx.media.claim(self._recording.path, self._user_id, memo_id)
        address = self._recording.address
        if address is not None and self._fetch:
            await self._tx.addresses.keep(memo_job(memo_id), self._user_id, address.sealed)
        if self._options.space_id is not None:
            await self._tx.spaces.link(memo_id, self._options.space_id, self._user_id)

    def _entered(self, memo: Memo, job: StaleJob, *, fresh: bool = False) -> Entered:
        answer: Answer = MemoStarted(
            memo_id=memo.id,
            audio_path=self._recording.path,
            memo=MemoView.of(memo),
            job_id=job.id,
        )
        if self._recording.original is not None:
            answer = Reprocessed(
                message="Reprocessing started",
                original_memo_id=self._recording.original,
                new_memo_id=memo.id,
                memo=MemoView.of(memo),
                job_id=job.id,
            )
        return Entered(answer.model_dump(mode="json", by_alias=True), job, fresh=fresh)

    def _request(self, memo_id: str) -> MemoJob:
        settings, address = self._services.settings, self._recording.address
        return MemoJob(
            job_id=memo_job(memo_id),
            memo_id=memo_id,
            user_id=self._user_id,
            audio_path=self._recording.path,
            claimed_seconds=self._recording.seconds,
            languages=tuple(self._options.recording_languages),
            diarization=self._options.enable_diarization,
            fetch=self._fetch,
            address_digest=address.digest if address is not None else "",
            audio_wait_seconds=settings.limits.audio_wait_seconds,
            heartbeat_seconds=settings.limits.heartbeat_timeout_seconds,
            blueprint_id=self._options.blueprint_id,
            space_id=self._options.space_id,
        )

    def _source(self) -> dict[str, Any]:
        return {
            "audio_path": self._recording.path,
            "duration": self._recording.seconds,
            "media_type": self._recording.media_type,
        }

    def _metadata(self) -> dict[str, Any]:
        options = self._options
        given = {
            "recordingLanguages": options.recording_languages,
            "recordingStartedAt": options.recording_started_at,
            "location": options.location,
            "blueprintId": options.blueprint_id,
            "enableDiarization": options.enable_diarization,
        }
        said = {name: value for name, value in given.items() if value is not None}
        return said | {"processing": {"transcription": {"status": MemoStatus.PENDING}}}


def _described(request: MemoJob) -> StaleJob:
    return StaleJob(
        id=request.job_id,
        kind=MEMO,
        user_id=request.user_id,
        request=request.model_dump(mode="json"),
    )
