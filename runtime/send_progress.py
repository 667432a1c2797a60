"""What a person sees while a recording or a text is on its way; nothing when nobody watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final, cast

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

WORDS: Final = {
    "queued": "waiting for a worker",
    "reserve": "holding credits",
    "probe": "looking into the audio",
    "convert": "converting",
    "transcribe": "transcribing",
    "settle": "settling the price",
    "headline": "finding a headline",
    "speak": "speaking",
    "join": "making one file of it",
    "announce": "telling who asked",
    "done": "done",
}


NEXT: Final = {
    "reserve": "probe",
    "probe": "transcribe",
    "convert": "transcribe",
    "transcribe": "settle",
    "settle": "headline",
    "headline": "done",
}
"""What a job is at once it has told that a step took so long."""


class Progress:
    """Bars on stderr: one for the job, one for the bytes that go there or come from there."""

    def __init__(self, bars: Bars, upload: TaskID, job: TaskID, download: TaskID) -> None:
        self._bars = bars
        self._upload = upload
        self._job = job
        self._download = download
        self._parts = 0

    @property
    def job(self) -> Task:
        """The job's bar."""
        return next(task for task in self._bars.tasks if task.id == self._job)

    def reading(self, source: IO[bytes], size: int) -> IO[bytes]:
        """The file, counted as it is read."""
        self._bars.update(self._upload, total=size, visible=True)
        return cast("IO[bytes]", _Counted(source, self._bars, self._upload))

    def sent(self, place: int) -> None:
        """Show how far the file is; after a break that may be less than before."""
        self._bars.update(self._upload, completed=place)

    def fetching(self, size: int) -> None:
        """A file of so many bytes comes."""
        self._bars.update(self._download, total=size, visible=True)

    def fetched(self, count: int) -> None:
        """So many more bytes of it are here."""
        self._bars.advance(self._download, count)

    def event(self, event: dict[str, Any]) -> None:
        """Show one event of the job."""
        step = str(event.get("step") or "queued")
        if "seconds" in event or "charged" in event:
            step = NEXT.get(step, step)
        percent = 100 if event["type"] == "done" else event.get("percent")
        words = WORDS.get(step, step)
        if "part" in event:
            self._parts += 1
            words = f"{words}, {self._parts} part{'s' if self._parts > 1 else ''} done"
        self._bars.update(
            self._job,
            description=words,
            # Without a number the bar only shows that something is going on.
            total=None if percent is None else 100,
            completed=percent or 0,
            visible=True,
        )


class _Counted:
    """A file that says how much of it was read."""

    def __init__(self, source: IO[bytes], bars: Bars, task: TaskID) -> None:
        self._source = source
        self._bars = bars
        self._task = task

    def read(self, size: int = -1) -> bytes:
        """Read and count."""
        data = self._source.read(size)
        self._bars.advance(self._task, len(data))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(1 << 16), b"")


@contextmanager
def shown(*, quiet: bool = False) -> Iterator[Progress]:
    """Bars while the block runs, when stderr is a terminal."""
    console = Console(stderr=True)
    bars = Bars(
        SpinnerColumn(),
        TextColumn("{task.description:<28}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )
    with bars:
        upload = bars.add_task("sending", visible=False)
        job = bars.add_task("waiting for a worker", total=100, visible=False)
        download = bars.add_task("fetching", visible=False)
        yield Progress(bars, upload, job, download)
