"""The real API, which kills itself once: before, or right after, the start of a workflow.

python -m tests.faults.dying_api PORT before|after
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn
from temporalio.client import Client

from api.main import create_app
from runtime import logs
from runtime.settings import load
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs


class Dying(TemporalJobs):
    """Temporal's jobs, with death beside the first start."""

    def __init__(self, client: Client, when: str, mark: Path) -> None:
        super().__init__(client)
        self._when = when
        self._mark = mark

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        if self._when == "before":
            self._die()
        started = await super().start(kind, job_id, user_id, request)
        self._die()
        return started

    def _die(self) -> None:
        if not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


async def serve(port: int, when: str) -> None:
    settings = load(None)
    logs.configure(settings.logs)
    jobs = Dying(await connect(settings.temporal, lazy=True), when, settings.data_dir / "died")
    app = create_app(settings, jobs=jobs)
    await uvicorn.Server(uvicorn.Config(app, port=port, log_config=None)).serve()


if __name__ == "__main__":
    import asyncio

    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
