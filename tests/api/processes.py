"""API processes on one data folder, as replicas on a shared disk are, and clients beside them."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from runtime.issuer import EmbeddedIssuer
from tests.api.front import User, wav
from tests.e2e.production import free_ports

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0


class ApiProcess:
    """One process; it may be killed and started again at the same address.

    Args:
        when: it dies, by ``tests.faults.dying_api``.
    """

    def __init__(self, data_dir: Path, when: str = "before", **settings: str) -> None:
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        # By itself it dies beside the start of a workflow only: of most tests none starts one.
        self._command = (sys.executable, "-m", "tests.faults.dying_api", str(self.port), when)
        self._env = {
            **os.environ,
            "ENV_FILE": "",
            "DATA_DIR": str(data_dir),
            "EMBEDDED_ISSUER": "true",
            "RATE_LIMIT_PER_MINUTE": "0",
            **settings,
        }

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(*self._command, env=self._env, cwd=ROOT)
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"{self.url}/.well-known/jwks.json")).is_success:
                        return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def api_processes(
    data_dir: Path, count: int = 1, /, **settings: str
) -> AsyncIterator[list[ApiProcess]]:
    """So many of them, ready."""
    EmbeddedIssuer.open(data_dir)
    processes = [ApiProcess(data_dir, **settings) for _ in range(count)]
    try:
        await asyncio.gather(*(process.start() for process in processes))
        yield processes
    finally:
        await asyncio.gather(*(process.kill() for process in processes))


def user_of(data_dir: Path, user_id: str) -> User:
    token = EmbeddedIssuer.open(data_dir).sign(user_id)
    return User(user_id, {"Authorization": f"Bearer {token}"})


async def tus_client(api: str, user: User, file: Path, urls: Path, *numbers: int) -> Process:
    """A client process that sends a file."""
    token = user.headers["Authorization"].removeprefix("Bearer ")
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.tus_client",
        f"{api}/api/v1/uploads/tus", token, str(file), str(urls), *map(str, numbers),
        cwd=ROOT, stdout=PIPE,
    )  # fmt: skip


def noise(path: Path, size: int) -> Path:
    """A file that begins as a WAV and has no two parts alike."""
    head = wav(0.01)
    path.write_bytes(head + random.Random(size).randbytes(size - len(head)))
    return path


async def grown(folder: Path, size: int) -> None:
    """Wait until some file below the folder has so many bytes."""
    async with asyncio.timeout(START_SECONDS):
        while not any(path.stat().st_size >= size for path in folder.glob("*") if path.is_file()):
            await asyncio.sleep(0.002)
