"""What a recording is and how long it really lasts, found out in a child process.

The container's own claim is never used: seconds are counted over the packets. Nothing is decoded
beyond what ffmpeg's libraries need to recognise the codec.
"""

from pathlib import Path
from typing import Any, Final

from contracts.audio import AudioFacts
from contracts.errors import MediaRejected
from contracts.signatures import CONTAINERS, HEAD_BYTES, after_tag, sniff
from providers.process_pool import ChildLost, ProcessPool

PROBE_SECONDS: Final = 60.0
_MAX_PACKET_SECONDS: Final = 10.0


class MediaProbe:
    """Looks into recordings, in the children of a pool that has ``av``."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    async def probe(self, path: Path) -> AudioFacts:
        """Measure the first audio stream of a file.

        Raises:
            UnsupportedMedia: the first bytes are of no container that is taken.
            MediaRejected: ``audio_corrupt`` or ``audio_not_supported``.
        """
        try:
            return await self._pool.run(measure, str(path), seconds=PROBE_SECONDS)
        except ChildLost as error:
            message = "The audio cannot be read: looking into it crashed or took too long"
            raise MediaRejected(message, code="audio_corrupt") from error


def sniff_file(path: Path) -> str:
    """Name the container of a file, behind its ID3 tags where it has some.

    Raises:
        UnsupportedMedia: of no container that is taken.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        name = sniff(head)
        start = after_tag(head)
        if start >= len(head) > 0:
            file.seek(start)
            rest = file.read(HEAD_BYTES)
            if rest:
                return sniff(rest)
    return name


def measure(name: str) -> AudioFacts:
    """Probe in a child process; see `MediaProbe.probe`."""
    import av  # noqa: PLC0415 - only children load ffmpeg's libraries

    path = Path(name)
    container = sniff_file(path)
    try:
        with av.open(
            f"file:{path}",
            format=CONTAINERS[container].demuxer,
            options={
                "protocol_whitelist": "file",
                "format_whitelist": ",".join(each.demuxer for each in CONTAINERS.values()),
            },
            metadata_errors="replace",
        ) as media:
            return _facts(media, container, path.stat().st_size)
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaRejected("The audio cannot be read", code="audio_corrupt") from error


def _facts(media: Any, container: str, size: int) -> AudioFacts:
    import av  # noqa: PLC0415 - as above

    if not media.streams.audio:
        raise MediaRejected("There is no audio in the file")
    stream = media.streams.audio[0]
    context = stream.codec_context
    rate = context.sample_rate or 0
    if rate <= 0:
        raise MediaRejected("The audio cannot be read", code="audio_corrupt")
    frame = (context.frame_size or 0) / rate
    seconds = 0.0
    try:
        for packet in media.demux(stream):
            if packet.size:
                seconds += frame or _lasts(packet)
    except av.error.FFmpegError:
        pass  # cut off: what came before is there
    if seconds <= 0:
        raise MediaRejected("There is no audio in the file", code="audio_corrupt")
    return AudioFacts(
        container=container,
        codec=context.codec.canonical_name,
        seconds=seconds,
        sample_rate=rate,
        channels=context.channels,
        size=size,
    )


def _lasts(packet: Any) -> float:
    if not packet.duration or packet.time_base is None:
        return 0.0
    return min(float(packet.duration * packet.time_base), _MAX_PACKET_SECONDS)
