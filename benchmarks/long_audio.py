"""Four hours of audio in sixteen chunks, beside the longest chunk's time at the vendor.

The vendor hears a hundred times as fast as people speak, counted from when a chunk has arrived, so
that everything but the vendor's own work is ours: sending too. Two walls are measured:

- from the first byte the vendor gets to the joined transcript: what chunking adds;
- from the POST to `completed`: probe, conversion, storing, cutting, joining, headline as well.

The moments of ours are those of the job's history; the vendor writes its own down.
"""

import asyncio
import json
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.app import USER, App
from benchmarks.audio import repeated
from benchmarks.measure import Round, Row, megabytes, over, p50
from benchmarks.stack import BIN, Stack, bare_client, free_port, stack

HOURS: Final = 4
MINUTE: Final = 60
LONGEST_MB: Final = 32
"""Of a chunk: 996 seconds, so that four hours are fifteen or sixteen chunks."""
LEAST_MB: Final = 1
"""A minute is three chunks then."""
SHARE: Final = 1.10
SPARE_SECONDS: Final = 1.5
MOST_MEMORY: Final = 5_000_000
SPEECH: Final = "0.4*sin(2*PI*(200+40*sin(2*PI*3*t))*t)*lt(mod(t,4),3.2)"
"""A voice by a formula: 3.2 seconds of a trembling tone, then 0.8 of silence."""
LOOK_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 300.0


class Run(NamedTuple):
    """What one memo of four hours took, in seconds.

    Attributes:
        longest: the longest chunk at the vendor, from arrival to answer.
        wall: from the first byte to the vendor to the joined transcript.
        whole: from the POST to `completed`.
        stages: activities of the job before and after the chunks, by name.
        chunks: how many.
    """

    longest: float
    wall: float
    whole: float
    stages: dict[str, float]
    chunks: int


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with stack() as made:
        vendor = free_port()
        made.env |= {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{vendor}/v1",
            "OPENAI_TRANSCRIPTION_MODEL": "whisper-1",
            "LANGUAGE_MODEL_TIERS": "local",
        }
        calls = made.folder / "calls.jsonl"
        made.run("migrate")
        made.start_temporal()
        made.start_api()
        made.start_module("hearing_vendor", str(vendor), str(calls))
        return asyncio.run(_measurements(made, calls, rounds))


async def _measurements(made: Stack, calls: Path, rounds: int) -> list[Row]:
    minute = await asyncio.to_thread(_minute, made.folder / "minute.wav")
    frames = await asyncio.to_thread(_minute, made.folder / "minute.mp3")
    hours = await asyncio.to_thread(repeated, frames, made.folder / "hours.mp3", HOURS * 60)
    client, app = await bare_client(made.temporal), await App.open(made)
    with _worker(made, LEAST_MB) as short:
        for _ in range(rounds):
            await _memo(made, app, minute)
    with _worker(made, LONGEST_MB) as long:
        runs = [await _measured(made, app, client, hours, calls) for _ in range(rounds)]
    return [*_rows(runs), *_memory(short, long)]


@contextmanager
def _worker(made: Stack, most_mb: int) -> Iterator["Peak"]:
    """The product's worker, whose vendor takes so many MiB at once; with its peak so far."""
    made.env["OPENAI_TRANSCRIPTION_MAX_MB"] = str(most_mb)
    process = made.start([str(BIN / "voicekeep"), "worker"], lambda: True)
    peak, ended = Peak(), threading.Event()
    watcher = threading.Thread(target=peak.watch, args=(psutil.Process(process.pid), ended))
    watcher.start()
    try:
        yield peak
    finally:
        ended.set()
        watcher.join()
        process.terminate()
        process.wait()


def _minute(target: Path) -> Path:
    source = f"aevalsrc='{SPEECH}':s=44100:d={MINUTE}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-b:a", "32k"]
    bare = ["-write_xing", "0", "-id3v2_version", "0"] if target.suffix == ".mp3" else []
    subprocess.run([*command, *bare, str(target)], check=True)
    return target


async def _memo(made: Stack, app: App, recording: Path) -> tuple[str, float]:
    """A memo over the recording, completed: its job's id and the seconds it took."""
    memo_id = str(uuid.uuid4())
    key = f"{USER}/{memo_id}/audio_1{recording.suffix}"
    target = made.folder / "files" / "user-uploads" / key
    target.parent.mkdir(parents=True)
    await asyncio.to_thread(shutil.copyfile, recording, target)
    await app.reconnect()
    begun = time.perf_counter()
    job_id = await app.post({"memoId": memo_id, "filePath": key, "duration": MINUTE})
    await app.completed(job_id, PATIENCE_SECONDS)
    return job_id, time.perf_counter() - begun


async def _measured(made: Stack, app: App, client: Client, recording: Path, log: Path) -> Run:
    begun = time.time()
    job_id, whole = await _memo(made, app, recording)
    calls = await asyncio.to_thread(_calls, log, begun)
    times = await activities(client, job_id)
    joined = times["join_chunks"][1]
    return Run(
        longest=max(call["answered"] - call["arrived"] for call in calls),
        wall=joined - min(call["began"] for call in calls),
        whole=whole,
        stages={
            name: times[name][1] - times[name][0]
            for name in ("probe", "convert", "cut", "join_chunks", "headline")
            if name in times
        },
        chunks=len(calls),
    )


def _calls(log: Path, since: float) -> list[dict[str, float]]:
    calls = [json.loads(line) for line in log.read_text().splitlines()]
    return [call for call in calls if call["began"] >= since]


async def activities(client: Client, job_id: str) -> dict[str, tuple[float, float]]:
    """When each kind of activity was first scheduled and last completed, by the server's clock."""
    names: dict[int, str] = {}
    times: dict[str, tuple[float, float]] = {}
    async for event in client.get_workflow_handle(job_id).fetch_history_events():
        at = event.event_time.ToNanoseconds() / 1e9
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            name = event.activity_task_scheduled_event_attributes.activity_type.name
            names[event.event_id] = name
            times.setdefault(name, (at, at))
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            name = names[event.activity_task_completed_event_attributes.scheduled_event_id]
            times[name] = (times[name][0], at)
    return times


class Peak:
    """The most bytes that were resident: in the worker itself, and in its children together."""

    def __init__(self) -> None:
        self.itself = 0
        self.children = 0

    def watch(self, process: psutil.Process, ended: threading.Event) -> None:
        """Look until the end."""
        while not ended.wait(LOOK_SECONDS):
            self.itself = max(self.itself, process.memory_info().rss)
            children = process.children(recursive=True)
            self.children = max(self.children, sum(_resident(child) for child in children))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _rows(runs: Sequence[Run]) -> list[Row]:
    what = f"{HOURS} h of audio, {runs[0].chunks} chunks at once"
    walls = [Round([each.longest], [each.wall]) for each in runs]
    wholes = [Round([each.longest], [each.whole]) for each in runs]
    return [
        _wall_row(f"{what}: first byte to the vendor until joined", walls),
        _wall_row(f"{what}: POST to completed", wholes),
        *(
            Row(f"… of it `{name}`", seconds(each), "–", seconds(each))
            for name in runs[0].stages
            for each in [p50([run.stages[name] for run in runs])]
        ),
    ]


def _wall_row(what: str, rounds: Sequence[Round]) -> Row:
    """Ours less its allowance, which is by the longest chunk of the same run."""
    ours = over(rounds, lambda each: p50(each.ours))
    anchor = over(rounds, lambda each: p50(each.anchor))
    beyond = over(rounds, lambda each: p50(each.ours) - SHARE * p50(each.anchor))
    return Row(
        what,
        seconds(ours.median),
        seconds(anchor.median),
        f"{SHARE:.2f} × + {beyond.median:.1f} s ({beyond.low:.1f}–{beyond.high:.1f})",
        f"≤ {SHARE:.2f} × + {SPARE_SECONDS} s",
        beyond.median <= SPARE_SECONDS,
    )


def _memory(minute: Peak, hours: Peak) -> list[Row]:
    return [
        Row(
            f"peak of {name}, {HOURS} h of audio in chunks instead of 1 min",
            megabytes(long),
            megabytes(short),
            f"{megabytes(long - short)} more",
            f"≤ {megabytes(MOST_MEMORY)} more",
            long - short <= MOST_MEMORY,
        )
        for name, short, long in (
            ("the worker", minute.itself, hours.itself),
            ("its children", minute.children, hours.children),
        )
    ]


def seconds(value: float) -> str:
    """Seconds with a tenth."""
    return f"{value:.1f} s"
