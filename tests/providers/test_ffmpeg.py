"""Conversions: what comes of them, what they cannot reach, and that nothing is left of them."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from contracts.audio import AudioFacts
from contracts.errors import MediaRejected, Unavailable
from providers.ffmpeg import arguments
from providers.ffmpeg_isolation import WAYS, Isolation, Limits, available
from providers.media_tools import MediaTools
from tests.media.recordings import tone, write_wav

ROOT = Path(__file__).resolve().parents[2]
FACTS = AudioFacts(
    container="wav", codec="pcm_s16le", seconds=2, sample_rate=16_000, channels=1, size=64_044
)
VERSION = 'if [ "$1" = -version ]; then echo "ffmpeg version stand-in"; exit 0; fi\n'


def works(way: Isolation) -> bool:
    """Whether this machine lets a program be kept apart in that way."""
    binary = shutil.which("ffmpeg") or "ffmpeg"
    command = way.wrap([binary, "-version"], Path(binary), Path.cwd(), Limits(10, 1 << 20))
    return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0


WORKING = [way for way in available() if works(way)]
NAMED = [pytest.param(way, id=way.name) for way in WORKING]


def nothing(_: float) -> None:
    """Progress nobody looks at."""


def stand_in(folder: Path, script: str) -> str:
    """A program that says it is ffmpeg; ``$out`` is where it should write."""
    path = folder / "ffmpeg-stand-in"
    path.write_text(f'#!/bin/bash\n{VERSION}out="${{@: -1}}"; out="${{out#file:}}"\n{script}\n')
    path.chmod(0o755)
    return str(path)


def running(marker: str) -> list[int]:
    """Processes that have the marker among their arguments."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if marker in (process.info["cmdline"] or [])
    ]


async def until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true, within a generous bound."""
    for _ in range(1200):
        if condition():
            return True
        await asyncio.sleep(0.05)
    return False


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., MediaTools]]:
    """Tools over a given ffmpeg, kept apart in a given way; closed at the end."""
    made: list[MediaTools] = []

    def build(binary: str = "ffmpeg", way: Isolation | None = None) -> MediaTools:
        tools = MediaTools(tmp_path / "work", ffmpeg=binary)
        tools.ffmpeg._isolation = way
        made.append(tools)
        return tools

    yield build
    for tools in made:
        await tools.aclose()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_wav(tmp_path / "source.wav", tone(2))


def left(tools: MediaTools) -> list[Path]:
    """Job directories that are still there."""
    return [path for path in tools.work_folder.glob("*/*") if path.is_dir()]


def test_the_command_is_the_one_that_was_measured_not_to_leak(tmp_path: Path) -> None:
    command = " ".join(arguments(tmp_path, FACTS, 60))
    assert command == (
        "-nostdin -hide_banner -v error -y -progress pipe:1 -stats_period 1 "
        "-protocol_whitelist file "
        "-format_whitelist mov,mp3,ogg,wav,flac,matroska,aac,amr,aiff,asf,caf "
        f"-f wav -i file:{tmp_path}/in -map 0:a:0 -vn -sn -dn -map_metadata -1 "
        "-t 61.000 -fs 1956096 -threads 1 -ac 1 -ar 16000 -c:a pcm_s16le "
        f"-f wav file:{tmp_path}/out.wav"
    )


@pytest.mark.parametrize("extension", ["m4a", "mp3", "opus", "flac", "webm", "wma", "caf", "aac"])
async def test_a_conversion_gives_16_khz_mono_of_the_same_length(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path, extension: str
) -> None:
    facts = await tools.probe(good[extension])
    said: list[float] = []
    before = tools.ffmpeg.spawned
    seconds = await tools.convert(
        good[extension], tmp_path / "out.wav", facts, max_seconds=60, progress=said.append
    )
    made = await tools.probe(tmp_path / "out.wav")
    assert seconds == pytest.approx(2.0, abs=0.1)
    assert (made.codec, made.sample_rate, made.channels) == ("pcm_s16le", 16_000, 1)
    assert made.seconds == pytest.approx(seconds, abs=0.01)
    assert said == sorted(said)
    assert said[-1] == pytest.approx(seconds, abs=0.1)
    assert tools.ffmpeg.spawned - before == 1
    assert not left(tools)


async def test_a_conversion_is_one_process_group(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path
) -> None:
    log = tmp_path / "starts"
    script = f'echo "$$ $(ps -o pgid= -p $$)" >> {log}; exec ffmpeg "$@"'
    tools = make(stand_in(tmp_path, script), WAYS[-1])
    await tools.convert(source, tmp_path / "out.wav", FACTS, max_seconds=60, progress=nothing)
    [start] = log.read_text().splitlines()
    pid, group = start.split()
    assert pid == group != str(os.getpgrp())


async def test_longer_than_allowed_is_refused_and_never_cut_silently(
    tools: MediaTools, good: dict[str, Path], tmp_path: Path
) -> None:
    facts = await tools.probe(good["m4a"])
    target = tmp_path / "out.wav"
    with pytest.raises(MediaRejected) as refusal:
        await tools.convert(good["m4a"], target, facts, max_seconds=0.5, progress=nothing)
    assert refusal.value.code == "audio_too_long"
    assert not target.exists()


@pytest.mark.parametrize(
    ("script", "failure", "code"),
    [
        ("exit 0", MediaRejected, "audio_corrupt"),
        ('head -c 78 /dev/zero > "$out"', MediaRejected, "audio_corrupt"),
        ("echo 'Invalid data found' >&2; exit 1", MediaRejected, "audio_corrupt"),
        ("kill -SEGV $$", MediaRejected, "audio_corrupt"),
        ("echo 'No space left on device' >&2; exit 1", Unavailable, "unavailable"),
        ("kill -KILL $$", Unavailable, "unavailable"),
        ("exit 127", Unavailable, "unavailable"),
        ("yes complaint | head -c 20000000 >&2; exit 1", MediaRejected, "audio_corrupt"),
    ],
)
async def test_every_bad_end_has_its_name_and_leaves_nothing(
    make: Callable[..., MediaTools],
    source: Path,
    script: str,
    failure: type[Exception],
    code: str,
) -> None:
    tools = make(stand_in(source.parent, script))
    target = source.parent / "out.wav"
    with pytest.raises(failure) as raised:
        await tools.convert(source, target, FACTS, max_seconds=60, progress=nothing)
    assert getattr(raised.value, "code", None) == code
    assert not target.exists()
    assert not left(tools)


async def test_no_ffmpeg_says_how_to_get_one(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path
) -> None:
    tools = make("no-such-ffmpeg")
    with pytest.raises(Unavailable, match="apt-get install ffmpeg"):
        await tools.convert(source, tmp_path / "o", FACTS, max_seconds=60, progress=nothing)
    with pytest.raises(Unavailable, match="FFMPEG_PATH"):
        await tools.status()


async def test_a_disk_without_room_is_told_before_anything_starts(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path
) -> None:
    tools = make()
    endless = FACTS.model_copy(update={"seconds": 1e12})
    with pytest.raises(Unavailable, match="no room"):
        await tools.convert(source, tmp_path / "o", endless, max_seconds=60, progress=nothing)
    assert tools.ffmpeg.spawned == 0
    assert not left(tools)


# --- What is kept apart --------------------------------------------------------------------------


async def test_the_strictest_way_that_works_is_found_once_and_told(
    make: Callable[..., MediaTools],
) -> None:
    tools = make()
    status = await tools.status()
    assert status.binary.startswith("/")
    assert status.version.startswith("ffmpeg version")
    assert status.isolation in {way.description for way in WAYS}
    assert tools.ffmpeg.spawned == 0


@pytest.mark.parametrize("way", NAMED)
async def test_every_way_converts(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path, way: Isolation
) -> None:
    tools = make(way=way)
    target = tmp_path / "out.wav"
    seconds = await tools.convert(source, target, FACTS, max_seconds=60, progress=nothing)
    assert seconds == pytest.approx(2.0, abs=0.01)


@pytest.mark.skipif(WAYS[0] not in WORKING, reason="bubblewrap is not installed or not allowed")
async def test_ffmpeg_has_no_network_no_secrets_and_no_other_file(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "other-recording.wav"
    secret.write_bytes(b"somebody else's")
    async with await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        binary = stand_in(tmp_path, thief(tmp_path, secret, port))
        target = tmp_path / "out.wav"
        apart = make(binary, WAYS[0])
        seconds = await apart.convert(source, target, FACTS, max_seconds=60, progress=nothing)
        assert seconds == pytest.approx(2.0, abs=0.01)
        with pytest.raises(MediaRejected):  # it does find something where nothing is kept from it
            await make(binary, WAYS[-1]).convert(
                source, target, FACTS, max_seconds=60, progress=nothing
            )


def thief(folder: Path, secret: Path, port: int) -> str:
    """Converts only when it finds nothing that it could have stolen or left behind."""
    return (
        f'[ -r {secret} ] && exit 3\n[ -n "$HOME$OPENAI_API_KEY$USER" ] && exit 4\n'
        f"(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && exit 5\n"
        f"(echo x > {folder}/planted) 2>/dev/null && exit 6\n"
        '[ "$(ulimit -c)" = 0 ] && [ "$(ulimit -n)" = 64 ] || exit 7\n'
        'exec ffmpeg "$@"'
    )


def test_every_way_sets_the_limits_right_before_ffmpeg(tmp_path: Path) -> None:
    for way in WAYS:
        command = way.wrap(["/usr/bin/ffmpeg", "-x"], tmp_path / "s", tmp_path, Limits(9, 1000))
        at = command.index("prlimit")
        assert command[-2:] == ["/usr/bin/ffmpeg", "-x"]
        assert {"--cpu=9:14", "--fsize=1000", "--core=0"} <= set(command[at:])


# --- How it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", NAMED)
async def test_cancelling_kills_the_whole_group_and_removes_its_directory(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path, way: Isolation
) -> None:
    marker = f"{9_000_000 + os.getpid()}.{WAYS.index(way)}"
    tools = make(stand_in(tmp_path, f"sleep {marker} & sleep {marker}"), way)
    converting = asyncio.create_task(
        tools.convert(source, tmp_path / "o", FACTS, max_seconds=60, progress=nothing)
    )
    assert await until(lambda: len(running(marker)) == 2)
    assert left(tools)
    converting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await converting
    assert await until(lambda: not running(marker))
    assert not left(tools)


PARENT = """
import asyncio, sys
from pathlib import Path
from contracts.audio import AudioFacts
from providers.ffmpeg_isolation import WAYS
from providers.media_tools import MediaTools

async def main():
    folder, binary, way = Path(sys.argv[1]), sys.argv[2], WAYS[int(sys.argv[3])]
    tools = MediaTools(folder / "work", ffmpeg=binary)
    tools.ffmpeg._isolation = way
    facts = AudioFacts(
        container="wav", codec="pcm_s16le", seconds=2, sample_rate=16000, channels=1, size=64044
    )
    await tools.convert(
        folder / "source.wav", folder / "o", facts, max_seconds=60, progress=lambda _: None
    )

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("way", NAMED)
async def test_a_killed_worker_takes_ffmpeg_with_it_and_the_next_one_tidies_up(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path, way: Isolation
) -> None:
    marker = f"{8_000_000 + os.getpid()}.{WAYS.index(way)}"
    binary = stand_in(tmp_path, f"exec sleep {marker}")
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(script), str(tmp_path), binary, str(WAYS.index(way))),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert await until(lambda: bool(running(marker)))
    worker.kill()
    await worker.wait()
    assert await until(lambda: not running(marker))
    assert list((tmp_path / "work").iterdir())
    tools = make()
    await tools.start()
    assert len(list(tools.work_folder.iterdir())) == 1
    await tools.aclose()
    assert not list(tools.work_folder.iterdir())


async def test_the_directories_of_a_living_worker_are_left_alone(
    make: Callable[..., MediaTools], source: Path, tmp_path: Path
) -> None:
    first, second = make(), make()
    await first.start()
    await second.start()
    assert len(list(first.work_folder.iterdir())) == 2
    for tools in (first, second):
        target = tmp_path / "out.wav"
        await tools.convert(source, target, FACTS, max_seconds=60, progress=nothing)
