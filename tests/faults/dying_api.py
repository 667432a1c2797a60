"""The real API, which kills itself.

    python -m tests.faults.dying_api PORT before|after|asked

``before`` and ``after``: once, beside the start of a workflow. ``asked``: where a request says so
in its header ``x-death``: ``answer``, when all is done but the answer, or, by a number, before that
effect (``mortality.py``).
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.client import Client

from api.main import create_app
from runtime import logs
from runtime.settings import load
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs
from tests.faults.mortality import Fate, doomed, effect, killing, make_mortal

DEATH = b"x-death"


class Dying(TemporalJobs):
    """Temporal's jobs, with death beside the first start."""

    def __init__(self, client: Client, when: str, mark: Path) -> None:
        super().__init__(client)
        self._when = when
        self._mark = mark

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        effect()
        if self._when == "before":
            self._die()
        started = await super().start(kind, job_id, user_id, request)
        if self._when == "after":
            self._die()
        return started

    def _die(self) -> None:
        if not self._mark.exists():
            self._mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class AskedToDie:
    """The app, which dies where a request says."""

    def __init__(self, app: FastAPI, mark: Path) -> None:
        self._app = app
        self._die = killing(mark)
        self._mortal = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = dict(scope.get("headers", ())).get(DEATH, b"").decode()
        if not place:
            await self._app(scope, receive, send)
        elif place == "answer":
            await self._app(scope, receive, self._deadly)
        else:
            if not self._mortal:
                make_mortal((await self._app.state.opening.services()).database)
                self._mortal = True
            with doomed(Fate(int(place), self._die)):
                await self._app(scope, receive, send)

    async def _deadly(self, _message: Message) -> None:
        self._die()


async def serve(port: int, when: str) -> None:
    settings = load(None)
    logs.configure(settings.logs)
    mark = settings.data_dir / "died"
    jobs = Dying(await connect(settings.temporal, lazy=True), when, mark)
    real = create_app(settings, jobs=jobs)
    app: ASGIApp = AskedToDie(real, mark) if when == "asked" else real
    await uvicorn.Server(uvicorn.Config(app, port=port, log_config=None)).serve()


if __name__ == "__main__":
    import asyncio

    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
