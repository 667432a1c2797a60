"""The anchor of the durability tax: a workflow that does nothing, in as many steps as a memo.

Nothing of ours is in it: no plugin, no database, no files; only the worker's options are ours.
"""

import asyncio
from datetime import timedelta

from temporalio import activity, workflow

QUEUE = "bare"
STEP = timedelta(seconds=10)


@activity.defn
async def nothing(number: int) -> int:
    """Do nothing, and say so."""
    return number


@workflow.defn
class BareWorkflow:
    """Three activities and five local activities, one after another."""

    @workflow.run
    async def run(self, number: int) -> int:
        """Local ones where a memo has its short steps: before, between and after."""
        number = await self._here(number, 2)
        number = await self._there(number, 2)
        number = await self._here(number, 2)
        number = await self._there(number, 1)
        return await self._here(number, 1)

    async def _here(self, number: int, times: int) -> int:
        for _ in range(times):
            number = await workflow.execute_local_activity(
                nothing, number, start_to_close_timeout=STEP
            )
        return number

    async def _there(self, number: int, times: int) -> int:
        for _ in range(times):
            number = await workflow.execute_activity(nothing, number, start_to_close_timeout=STEP)
        return number


@workflow.defn
class WaitingWorkflow:
    """Waits for a signal that never comes."""

    @workflow.run
    async def run(self) -> None:
        """Wait for ever."""
        await asyncio.Event().wait()
