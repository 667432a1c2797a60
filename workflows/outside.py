"""What comes to a job from outside while it runs: another's transcript, a vendor's event."""

import asyncio
from datetime import timedelta
from typing import Never

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.outside import OutsideActivities
    from contracts.jobs import JobFailure
    from contracts.memo import MemoJob, TranscribeTier
    from contracts.outside import (
        SILENT,
        EndOutside,
        OutsideEnd,
        OutsideReport,
        VendorEvent,
        failure_of,
    )
    from workflows.steps import StepFailed, short_step


class Outsiders:
    """What was told so far: a signal is remembered here, and does nothing by itself.

    Attributes:
        came: a transcript is recorded for the job.
        woken: the vendor's job that is waited for has something to tell.
    """

    def __init__(self, job: MemoJob) -> None:
        self._job = job
        self._failed: OutsideReport | None = None
        self._vendor_job = ""
        self.came = False
        self.woken = False

    def report(self, report: OutsideReport) -> None:
        """Somebody has transcribed it, or has failed to."""
        if report.success:
            self.came = True
        elif report.round == self._job.round:
            self._failed = report

    def event(self, event: VendorEvent) -> None:
        """A vendor has something to tell of a job of its."""
        self.woken = self.woken or event.vendor_job == self._vendor_job

    def listen(self, vendor_job: str) -> None:
        """From now on events of this job count; whatever came before is asked for anyway."""
        self._vendor_job = vendor_job
        self.woken = False

    async def wait(self, order: TranscribeTier) -> Never:
        """Be the tier ``external`` until its time is over; a transcript ends this from outside.

        One timer, however long it takes.

        Raises:
            StepFailed: a failure was reported, or nothing at all.
        """
        self._failed = await short_step(OutsideActivities.await_outside, order) or self._failed
        try:
            await workflow.wait_condition(
                lambda: self._failed is not None,
                timeout=timedelta(seconds=order.tier.call_seconds),
                timeout_summary="for an outside transcriber",
            )
        except TimeoutError:
            failure = JobFailure(code=SILENT, message="No outside transcriber reported in time")
            await self._end(OutsideEnd.SILENT)
            raise StepFailed(failure, final=True) from None
        except asyncio.CancelledError:
            if not self.came:
                await self._end(OutsideEnd.CANCELLED)
            raise
        code = self._failed.code if self._failed is not None else None
        await self._end(OutsideEnd.FAILED, code)
        raise StepFailed(failure_of(code), final=True)

    async def _end(self, end: OutsideEnd, code: str | None = None) -> None:
        await short_step(
            OutsideActivities.end_outside, EndOutside(job=self._job, end=end, code=code)
        )
