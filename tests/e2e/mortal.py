"""A worker that is a process of its own: it dies, and is started again."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from temporalio.client import Client

from tests.fakes.openai import FakeOpenAI
from tests.site import Site

ROOT = Path(__file__).resolve().parents[2]


class Mortal(Site):
    """A site whose worker is a process that dies and is started again."""

    def __init__(self, client: Client, folder: Path, vendor: FakeOpenAI) -> None:
        super().__init__(client, folder, vendor)
        self.deaths = 0
        self.settings_of_worker: dict[str, str] = {}
        self._process: asyncio.subprocess.Process | None = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    @asynccontextmanager
    async def worker(self, step: str, when: str) -> AsyncIterator[None]:
        """The dying worker, started again each time it is dead."""
        keeper = asyncio.create_task(self._keep(step, when))
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

    async def _keep(self, step: str, when: str) -> None:
        env = {
            **os.environ,
            "DATA_DIR": str(self.folder),
            "TEMPORAL_ADDRESS": self.client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": self.client.namespace,
            "TRANSCRIPTION_TIERS": "openai",
            "OPENAI_BASE_URL": self.vendor.base_url,
            "OPENAI_API_KEY": "test",
            "LANGUAGE_MODEL_TIERS": "local",
            "LOG_LEVEL": "warning",
            **self.settings_of_worker,
        }
        while True:
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "tests.faults.dying_worker", step, when),
                env=env,
                cwd=ROOT,
            )
            try:
                await process.wait()
            except asyncio.CancelledError:
                process.terminate()
                await process.wait()
                raise
            self.deaths += 1
            assert self.deaths < 10, "the worker cannot live"
