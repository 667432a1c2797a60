"""What services tell of memos, and which vendor's job a memo is."""

from typing import TYPE_CHECKING, ClassVar, Final

from fastapi import APIRouter

from api.admission import CurrentUser, user_router
from api.dependencies import Needs
from api.outside_report import OutsideReports
from api.principals import ServiceRoute, service_router
from api.shapes.errors import error_responses
from api.shapes.outside import (
    MAX_REPORT_BYTES,
    BatchMetadata,
    BatchMetadataKept,
    ReportTaken,
    TranscriptionCompleted,
)
from contracts.api_keys import MEMOS
from contracts.errors import NotFound

if TYPE_CHECKING:
    from store.database import Database

TAG: Final = "Internal"


class _ReportRoute(ServiceRoute):
    """A whole transcript comes in one body."""

    max_bytes: ClassVar[int] = MAX_REPORT_BYTES


router = APIRouter()
_reports = service_router(TAG, route_class=_ReportRoute)
_service = service_router(TAG)
_own = user_router("Memos", scope=MEMOS)


@_reports.post(
    "/internal/transcription-completed",
    summary="Report an outside transcript",
    response_description="The report is kept.",
    responses=error_responses(400, 401, 404, 413, 503),
)
async def transcription_completed(body: TranscriptionCompleted, needs: Needs) -> ReportTaken:
    """An outside transcriber has finished, or has failed.

    The transcript is kept and the waiting job takes it over; what is recorded first wins, and a
    memo is charged once. A failure lets the job go on with its next tier at once. `ignored` is true
    when the memo is complete without it. A success for a memo that has failed completes it. The
    same report again changes nothing.
    """
    return await OutsideReports(needs).take(body)


@_service.post(
    "/internal/batch-metadata",
    summary="Name the vendor's job of any memo",
    response_description="It is written to the memo's metadata.",
    responses=error_responses(400, 401, 404, 413, 503),
)
async def internal_batch_metadata(body: BatchMetadata, needs: Needs) -> BatchMetadataKept:
    """Write `metadata.processing.transcription.{jobId, batchTranscription, batchJobCreated}`."""
    async with needs.database.read() as tx:
        owner = await tx.memos.owner(body.memo_id)
    if owner is None:
        raise NotFound
    return await _name(needs.database, owner, body)


@_own.post(
    "/batch-metadata",
    summary="Name the vendor's job of a memo",
    response_description="It is written to the memo's metadata.",
    responses=error_responses(400, 401, 404, 413, 429, 503),
)
async def batch_metadata(body: BatchMetadata, user: CurrentUser, needs: Needs) -> BatchMetadataKept:
    """Write `metadata.processing.transcription.{jobId, batchTranscription, batchJobCreated}`.

    Of one's own memos only.
    """
    return await _name(needs.database, user.id, body)


async def _name(database: "Database", owner: str, body: BatchMetadata) -> BatchMetadataKept:
    async with database.write() as tx:
        if not await tx.memos.name_vendor_job(
            body.memo_id, owner, body.job_id, batch=body.batch_transcription
        ):
            raise NotFound
    return BatchMetadataKept(memo_id=body.memo_id, job_id=body.job_id)


router.include_router(_reports)
router.include_router(_service)
router.include_router(_own)
