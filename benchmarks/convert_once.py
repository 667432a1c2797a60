"""One recording probed, converted and stored as a worker does it; prints the peak of memory."""

import asyncio
import resource
import sys
import tempfile
from pathlib import Path

from providers.media_tools import MediaTools
from runtime import logs, settings
from store.files_disk import DiskFiles


async def convert(recording: Path, folder: Path) -> None:
    """Leave the WAV in a storage in the folder."""
    tools = MediaTools(folder / "work")
    await tools.start()
    facts = await tools.probe(recording)
    target = folder / "audio.wav"
    await tools.convert(
        recording, target, facts, max_seconds=facts.seconds + 1, progress=lambda _: None
    )
    await DiskFiles(folder / "files").put_file("u/audio.wav", target, media_type="audio/wav")
    await tools.aclose()


if __name__ == "__main__":
    logs.configure(settings.load(env_file=None).logs)
    with tempfile.TemporaryDirectory(prefix="voicekeep-bench-") as name:
        asyncio.run(convert(Path(sys.argv[1]), Path(name)))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
