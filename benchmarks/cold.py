"""How long a start takes and what a process weighs, beside a bare app of the same libraries."""

import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil

from benchmarks.measure import Round, Row, megabytes, milliseconds, p50, ratio_row
from benchmarks.stack import BIN, Stack, free_port, stack
from tests.embedded import running as running_up

PATIENCE_SECONDS: Final = 60.0
BARE: Final = """
import sys, fastapi, temporalio.client, uvicorn
app = fastapi.FastAPI()
app.get("/health/live")(lambda: {"status": "ok"})
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def run(rounds: int) -> list[Row]:
    """The rows of this benchmark."""
    with stack() as made:
        made.run("migrate")
        pairs = [Round([_bare(made)], [_ours(made)]) for _ in range(rounds)]
        helps = [_help(made) for _ in range(rounds)]
        weights = _weights(made)
    first = ratio_row("API, start to first 200", pairs, p50, milliseconds, most=1.25)
    return [
        first,
        _plain("voicekeep --help", milliseconds(p50(helps)), "≤ 300 ms", met=p50(helps) <= 0.3),
        _second_up(),
        *(_plain(f"resident memory, {name}", megabytes(size)) for name, size in weights.items()),
    ]


def _plain(what: str, ours: str, target: str = "–", *, met: bool | None = None) -> Row:
    return Row(what, ours, "–", ours, target, met)


def _bare(made: Stack) -> float:
    port = free_port()
    return _until_200([sys.executable, "-c", BARE, str(port)], port, made)


def _ours(made: Stack) -> float:
    return _until_200([str(BIN / "voicekeep"), "api"], made.api_port, made)


def _until_200(command: Sequence[str], port: int, made: Stack) -> float:
    begun = time.perf_counter()
    with subprocess.Popen(command, env=made.env, cwd=made.folder) as process:
        try:
            while not _answers(f"http://127.0.0.1:{port}/health/live"):
                if time.perf_counter() - begun > PATIENCE_SECONDS:
                    raise TimeoutError(command[0])
                time.sleep(0.005)
            return time.perf_counter() - begun
        finally:
            process.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _help(made: Stack) -> float:
    begun = time.perf_counter()
    made.run("--help")
    return time.perf_counter() - begun


def _second_up() -> Row:
    """The ready line's own figure, on a folder that has been up before."""
    with tempfile.TemporaryDirectory(prefix="voicekeep-bench-") as folder:
        data = Path(folder) / "data"
        with running_up(data) as (up, _):
            up.stop()
        with running_up(data) as (_, ready):
            seconds = float(ready["seconds"])
    return _plain("second `voicekeep up`, ready", f"{seconds:.1f} s", "≤ 5 s", met=seconds <= 5)


def _weights(made: Stack) -> dict[str, float]:
    """Of an API and a worker that have just become ready."""
    made.start_temporal()
    api = made.start_api()
    worker = made.start_module("instant_worker")
    return {
        name: float(psutil.Process(process.pid).memory_info().rss)
        for name, process in (("API", api), ("worker", worker))
    }
