"""The anchor's worker: no plugin, no database; the product's own worker options."""

import asyncio

from temporalio.client import Client

import worker as product
from benchmarks.bare import QUEUE, BareWorkflow, WaitingWorkflow, nothing
from runtime import settings


async def main() -> None:
    """Serve until killed."""
    found = settings.load(env_file=None)
    client = await Client.connect(found.temporal.address)
    workflows = (BareWorkflow, WaitingWorkflow)
    async with product.worker(found, client, QUEUE, [nothing], workflows):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
