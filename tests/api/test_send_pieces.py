"""`voicekeep send` of a large file, over a line that breaks and a server that is killed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from contracts.errors import Rejected, Unavailable
from runtime.send_pieces import Pieces
from runtime.send_progress import shown
from runtime.target import CALL_TIMEOUT, failure_of
from tests.api.front import User
from tests.api.processes import ApiProcess, api_processes, grown, noise, user_of

MEGABYTE = 1024 * 1024


@pytest.fixture
def anna(data_dir: Path) -> User:
    return user_of(data_dir, str(uuid4()))


@pytest.fixture
async def api(data_dir: Path) -> AsyncIterator[ApiProcess]:
    async with api_processes(data_dir) as [api]:
        yield api


def send(url: str, user: User, file: Path, patience: float = 60) -> str:
    """Send it as the command does, in a thread of its own."""
    with (
        shown(quiet=True) as progress,
        httpx.Client(base_url=url, headers=dict(user.headers), timeout=CALL_TIMEOUT) as client,
    ):
        pieces = Pieces(client, failure_of, progress, pause=0.2, patience=patience)
        return pieces.send(file)


async def test_a_server_that_is_killed_in_the_middle_is_gone_on_with(
    data_dir: Path, api: ApiProcess, anna: User, tmp_path: Path
) -> None:
    file = noise(tmp_path / "long.m4a", 40 * MEGABYTE)
    sending = asyncio.create_task(asyncio.to_thread(send, api.url, anna, file))
    await grown(data_dir / "files" / "resumable", 12 * MEGABYTE)
    await api.kill()
    await api.start()
    path = await sending
    assert (data_dir / "files" / "user-uploads" / path).read_bytes() == file.read_bytes()


async def test_what_is_refused_is_not_tried_again(
    api: ApiProcess, anna: User, tmp_path: Path
) -> None:
    file = tmp_path / "page.wav"
    file.write_bytes(b"<!doctype html>" * 10_000)
    with pytest.raises(Rejected) as refused:
        await asyncio.to_thread(send, api.url, anna, file)
    assert refused.value.code in {"unsupported_media_type", "not_found"}


async def test_a_server_that_stays_away_is_given_up(
    data_dir: Path, api: ApiProcess, anna: User, tmp_path: Path
) -> None:
    file = noise(tmp_path / "long.wav", 40 * MEGABYTE)
    sending = asyncio.create_task(asyncio.to_thread(send, api.url, anna, file, 0.5))
    await grown(data_dir / "files" / "resumable", 4 * MEGABYTE)
    await api.kill()
    with pytest.raises(Unavailable):
        await sending
