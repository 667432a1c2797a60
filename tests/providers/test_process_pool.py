"""Children that work, crash, hang, eat, and never outlive their parent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from contracts.errors import Unavailable
from providers.process_pool import ChildLost, ProcessPool
from tests.fakes import child_work

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 1 << 30


@pytest.fixture
async def pool() -> AsyncIterator[ProcessPool]:
    pool = ProcessPool(workers=1, memory_bytes=MEMORY)
    yield pool
    await pool.aclose()


def children() -> set[int]:
    """Children of this process that run our functions."""
    return {
        child.pid
        for child in psutil.Process().children()
        if "spawn_main" in " ".join(child.cmdline())
    }


async def gone(pids: set[int]) -> bool:
    """Whether they all end, within a generous bound."""
    for _ in range(200):
        if not any(psutil.pid_exists(pid) for pid in pids):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_a_child_answers_again_and_again(pool: ProcessPool) -> None:
    assert await pool.run(child_work.answer, 1, seconds=10) == 2
    assert await pool.run(child_work.who, seconds=10) == await pool.run(child_work.who, seconds=10)


async def test_what_a_child_raises_is_raised_here(pool: ProcessPool) -> None:
    with pytest.raises(ValueError, match="it is wrong"):
        await pool.run(child_work.complain, seconds=10)


async def test_a_crash_is_one_lost_call_and_the_pool_goes_on(pool: ProcessPool) -> None:
    with pytest.raises(ChildLost) as lost:
        await pool.run(child_work.crash, seconds=10)
    assert not lost.value.timed_out
    assert await pool.run(child_work.answer, 1, seconds=10) == 2


@pytest.mark.parametrize("work", [child_work.hang, child_work.spin])
async def test_a_child_that_does_not_answer_is_ended(
    pool: ProcessPool, work: Callable[[], None]
) -> None:
    before = await pool.run(child_work.who, seconds=10)
    with pytest.raises(ChildLost) as lost:
        await pool.run(work, seconds=0.3)
    assert lost.value.timed_out
    assert await gone({before})
    assert await pool.run(child_work.answer, 1, seconds=10) == 2


async def test_a_child_that_eats_too_much_fails_alone(pool: ProcessPool) -> None:
    with pytest.raises(ChildLost):
        await pool.run(child_work.eat, 2 * MEMORY, seconds=10)
    assert await pool.run(child_work.eat, 1000, seconds=10) == 1000


async def test_a_child_killed_between_two_calls_is_replaced(pool: ProcessPool) -> None:
    for _ in range(3):
        pid = await pool.run(child_work.who, seconds=10)
        os.kill(pid, signal.SIGKILL)
        assert await gone({pid})
        assert await pool.run(child_work.answer, 1, seconds=10) == 2


async def test_calls_at_once_all_get_their_own_answer() -> None:
    pool = ProcessPool(workers=2, memory_bytes=MEMORY)
    calls = (pool.run(child_work.answer, number, seconds=20) for number in range(50))
    assert await asyncio.gather(*calls) == list(range(1, 51))
    await pool.aclose()


async def test_a_cancelled_call_ends_its_child(pool: ProcessPool) -> None:
    pid = await pool.run(child_work.who, seconds=10)
    call = asyncio.create_task(pool.run(child_work.hang, seconds=100))
    await asyncio.sleep(0.3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await gone({pid})
    assert await pool.run(child_work.answer, 1, seconds=10) == 2


async def test_a_child_has_limits_and_nothing_of_our_environment(
    pool: ProcessPool, tmp_path: Path
) -> None:
    limits = await pool.run(child_work.limits, seconds=10)
    assert limits["RLIMIT_AS"] == (MEMORY, MEMORY)
    assert limits["RLIMIT_CORE"] == limits["RLIMIT_FSIZE"] == (0, 0)
    assert limits["RLIMIT_NOFILE"][1] <= 64
    assert 10 <= limits["RLIMIT_CPU"][0] <= 30
    assert await pool.run(child_work.environment, seconds=10) == {}
    with pytest.raises(OSError, match="too large"):
        await pool.run(child_work.write, str(tmp_path / "leak"), seconds=10)


async def test_nothing_is_started_before_the_first_call_or_left_after_the_last() -> None:
    before = children()
    pool = ProcessPool(workers=2)
    assert children() == before
    await pool.run(child_work.answer, 1, seconds=10)
    started = children() - before
    assert len(started) == 2
    await pool.aclose()
    await pool.aclose()
    assert await gone(started)
    with pytest.raises(Unavailable):
        await pool.run(child_work.answer, 1, seconds=10)


async def test_closing_ends_calls_that_are_under_way() -> None:
    pool = ProcessPool(workers=1)
    pid = await pool.run(child_work.who, seconds=10)
    call = asyncio.create_task(pool.run(child_work.hang, seconds=100))
    await asyncio.sleep(0.3)
    await pool.aclose()
    assert await gone({pid})
    await asyncio.wait({call}, timeout=10)
    with pytest.raises(Unavailable):
        await call


PARENT = """
import asyncio
from providers.process_pool import ProcessPool
from tests.fakes import child_work

async def main():
    pool = ProcessPool(workers=1)
    print(await pool.run(child_work.who, seconds=10), flush=True)
    await pool.run(child_work.spin, seconds=100)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_children_die_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    child = int(await parent.stdout.readline())
    await asyncio.sleep(0.3)
    parent.kill()
    await parent.wait()
    assert await gone({child})


@pytest.mark.parametrize(("parent", "said"), [("os.getppid()", "alive"), ("os.getpid()", "")])
def test_a_child_whose_parent_died_before_it_began_ends(parent: str, said: str) -> None:
    code = (
        "import os\nfrom providers.process_pool import _confine\n"
        f"_confine({parent}, 1 << 30, ())\nprint('alive')"
    )
    child = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=ROOT,
    )
    assert child.stdout.strip() == said
    assert child.returncode == (0 if said else 1)


def test_the_parent_loads_no_engine() -> None:
    code = (
        "import sys\n"
        "import providers.media_tools, providers.pocketsphinx, providers.local_headline\n"
        "import providers.openai_transcription\n"
        "engines = {'av', 'pocketsphinx', 'yake', 'pysbd', 'numpy', 'openai', 'pebble'}\n"
        "print(sorted(engines & set(sys.modules)))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"
