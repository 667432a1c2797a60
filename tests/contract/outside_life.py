"""A stored heap of what outsiders told, addresses and secrets, and all that is done with them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table

from contracts.batch import JobOwner
from contracts.memo import MemoJob
from contracts.outside import DueReport, OutsideTranscript
from contracts.transcript import Transcript
from store import address_tables, outside_tables, secret_tables

ADDRESS: Final = {"address": "plain:https://example.com", "tries": 0}
WITHOUT_OWNER: Final = {
    "reports that are due": "ORDER BY outside_reports.deliver_at",
    "jobs of vendors, known by the vendor's id": "FROM vendor_jobs",
    "events of vendors": "FROM vendor_events",
}


def outside_rows(
    number: int, job: str, memo: str, owner: str, at: datetime
) -> Iterator[tuple[Table, dict[str, Any]]]:
    """One of each for a job; every fiftieth report is still to be told."""
    own, vendor = {"user_id": owner}, {"vendor": "azure", "vendor_id": f"v{number}"}
    yield outside_tables.outside_reports, {
        "job_id": job, "round": 1, "success": True, **own, "memo_id": memo, "provider": "p",
        "deliveries": 0, "deliver_at": at if number % 50 == 0 else None, "created_at": at,
    }  # fmt: skip
    yield outside_tables.vendor_jobs, {**vendor, "job_id": job, **own, "created_at": at}
    yield outside_tables.vendor_events, {**vendor, "name": "n", "created_at": at}
    yield address_tables.media_addresses, {"job_id": job, **own, **ADDRESS, "created_at": at}
    yield secret_tables.job_secrets, {"job_id": job, **own, "sealed": "s", "created_at": at}


async def live_through_outsiders(tx: Any, job: str, memo_id: str, user: str) -> None:
    """Every statement of ``tx.outside``, ``tx.vendor_jobs``, ``tx.addresses`` and ``tx.secrets``.

    But ``forget_ended``, which looks at each row there is: those of jobs under way, no others.
    """
    report = DueReport(job_id=job, user_id=user, round=1, success=True)
    said = OutsideTranscript(provider="p", transcript=Transcript(text="t", seconds=1))
    await tx.outside.recorded(job, user)
    await tx.outside.record(report, memo_id, said, due=True)
    failed = report.model_copy(update={"success": False, "code": "x"})
    await tx.outside.record_failure(failed, memo_id, "p", "m")
    await tx.outside.transcript(job, user)
    await tx.outside.failure(job, user, 1)
    await tx.outside.postpone(report)
    await tx.outside.due(limit=20)
    await tx.outside.done(report)
    await tx.outside.forget_words(job, user)
    await tx.vendor_jobs.keep("azure", "mine", JobOwner(job_id=job, user_id=user))
    await tx.vendor_jobs.owner("azure", "mine")
    await tx.vendor_jobs.first_event("azure", "mine", "n")
    await tx.vendor_jobs.forget_event("azure", "mine", "n")
    await tx.vendor_jobs.forget("azure", "mine")
    await tx.addresses.keep(job, user, "plain:https://example.com")
    await tx.addresses.find(job, user)
    await tx.addresses.in_vain(job, user)
    memo = MemoJob(job_id=job, memo_id=memo_id, user_id=user, audio_path=f"{user}/m/a.m4a")
    await tx.addresses.fetched(memo, f"{user}/m/a.wav", media_type="audio/wav", size=9)
    await tx.addresses.forget(job, user)
    await tx.secrets.keep(job, user, "sealed")
    await tx.secrets.find(job, user)
    await tx.secrets.forget(job, user)
