"""Any order of requests about one upload, cut bodies and deaths included, against a plain model."""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from starlette.requests import ClientDisconnect

from api.tus_receiver import Receiver, held
from contracts.errors import ChecksumMismatch
from contracts.tus import Checksum
from tests.api.front import Front, User, opened, wav
from tests.api.uploading import TUS, announced, begin, patch, path_of, stored_at, where

T = TypeVar("T")
CONTENT = wav(0.5)
PIECES = st.integers(1, 6000)


class Loop:
    """A loop in a thread: hypothesis' rules wait for what it does."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(30)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def site(data_dir: Path) -> Iterator[tuple[Loop, Front, User]]:
    loop = Loop()
    context = opened(data_dir, MAX_OPEN_UPLOADS=10_000)
    front = loop.run(context.__aenter__())
    yield loop, front, front.user()
    loop.run(context.__aexit__(None, None, None))
    loop.close()


class Upload(RuleBasedStateMachine):
    """One upload: ``kept`` is what the model says is kept."""

    loop: ClassVar[Loop]
    front: ClassVar[Front]
    user: ClassVar[User]

    @initialize()
    def begin(self) -> None:
        self.told = self.loop.run(begin(self.front, self.user, len(CONTENT)))
        self.kept = 0
        self.there = True

    def patch(self, offset: int, content: bytes, **headers: str) -> int:
        sent = patch(self.front, self.user, self.told["url"], offset, content, **headers)
        return self.loop.run(sent).status_code

    @property
    def under_way(self) -> bool:
        return self.there and self.kept < len(CONTENT)

    @precondition(lambda self: self.there)
    @rule(size=PIECES)
    def go_on(self, size: int) -> None:
        piece = CONTENT[self.kept :][:size]
        assert self.patch(self.kept, piece) == 204
        self.kept += len(piece)

    @precondition(lambda self: self.there)
    @rule(offset=st.integers(0, len(CONTENT) + 5), size=PIECES)
    def somewhere_else(self, offset: int, size: int) -> None:
        if offset != self.kept:
            assert self.patch(offset, b"x" * size) == 409

    @precondition(lambda self: self.there)
    @rule(size=st.integers(1, 100))
    def too_much(self, size: int) -> None:
        assert self.patch(self.kept, CONTENT[self.kept :] + b"x" * size) == 413

    @precondition(lambda self: self.under_way)
    @rule(size=PIECES, broken=st.booleans())
    def with_a_checksum(self, size: int, *, broken: bool) -> None:
        piece = CONTENT[self.kept :][:size]
        digest = hashlib.sha256(piece + b"x" * broken).digest()
        status = self.loop.run(self.checked(piece, digest))
        assert status == (460 if broken else 204)
        if not broken:
            self.kept += len(piece)

    async def checked(self, piece: bytes, digest: bytes) -> int:
        try:
            await self.receive(self.whole(piece), Checksum("sha256", digest))
        except ChecksumMismatch:
            return 460
        return 204

    @precondition(lambda self: self.under_way)
    @rule(size=PIECES, at=st.integers(0, 6000), checksum=st.booleans())
    def cut(self, size: int, at: int, *, checksum: bool) -> None:
        piece = CONTENT[self.kept :][:size][:at]
        said = Checksum("sha256", bytes(32)) if checksum else None
        self.loop.run(self.cut_off(piece, said))
        self.kept += 0 if checksum else len(piece)

    async def cut_off(self, piece: bytes, checksum: Checksum | None) -> None:
        async def body() -> AsyncIterator[bytes]:
            if piece:
                yield piece
            raise ClientDisconnect

        with pytest.raises(ClientDisconnect):
            await self.receive(body(), checksum)

    async def whole(self, piece: bytes) -> AsyncIterator[bytes]:
        yield piece

    async def receive(self, body: Any, checksum: Checksum | None) -> None:
        upload_id = self.told["url"].rpartition("/")[2]
        async with self.front.database.read() as tx:
            upload = await tx.uploads.find(upload_id, self.user.id)
        assert upload is not None
        async with held(self.front.services, upload) as (file, found):
            receiver = Receiver(self.front.services, file, found, checksum)
            await receiver.receive(found.received, body)

    @precondition(lambda self: self.under_way)
    @rule(tail=st.integers(1, 20_000))
    def die_before_counting(self, tail: int) -> None:
        """Bytes came to the disk and their process was killed before it counted them."""
        upload_id = self.told["url"].rpartition("/")[2]
        with (self.front.settings.files_dir / "resumable" / upload_id).open("ab") as file:
            file.write(b"x" * tail)

    @precondition(lambda self: self.there)
    @rule()
    def give_up(self) -> None:
        gone = self.loop.run(
            self.front.ask("DELETE", path_of(self.told["url"]), self.user, headers=TUS)
        )
        assert gone.status_code == 204
        self.there = False

    @precondition(lambda self: not self.there)
    @rule(size=PIECES)
    def nothing_after_the_end(self, size: int) -> None:
        assert self.patch(self.kept, CONTENT[:size]) == 404

    @invariant()
    def what_is_told_is_what_is_kept(self) -> None:
        path = stored_at(self.front, self.told["filePath"])
        if self.there:
            assert self.loop.run(where(self.front, self.user, self.told["url"])) == self.kept
        if self.kept == len(CONTENT):
            assert path.read_bytes() == CONTENT
        else:
            assert not path.exists()

    def teardown(self) -> None:
        if self.there:
            self.give_up()
        ended = path_of(self.told["url"]).rpartition("/")[2]
        assert not (self.front.settings.files_dir / "resumable" / ended).exists()
        if self.kept < len(CONTENT):
            assert self.told["filePath"] not in self.loop.run(announced(self.front))


def examine(site: tuple[Loop, Front, User], examples: int) -> None:
    run_state_machine_as_test(
        type("OneUpload", (Upload,), dict(zip(("loop", "front", "user"), site, strict=True))),
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_whatever_is_asked_in_whatever_order_no_counted_byte_is_lost(
    site: tuple[Loop, Front, User],
) -> None:
    examine(site, 15)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_whatever_is_asked_in_whatever_order_at_length(site: tuple[Loop, Front, User]) -> None:
    examine(site, 300)
