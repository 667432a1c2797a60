"""What a recording is and how long it really lasts, found out in a child process.

The container's own claim is never used: seconds are counted over the packets. Nothing is decoded
beyond what ffmpeg's libraries need to recognise the codec.
"""

import re
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from contracts.audio import AudioFacts
from contracts.errors import MediaRejected
from contracts.signatures import CONTAINERS, HEAD_BYTES, after_tag, sniff
from providers.process_pool import ChildLost, ProcessPool

PROBE_SECONDS: Final = 120.0
"""Bound of one probe; 12 h of MP3 take three seconds of it."""
FRAME_SAMPLES: Final = MappingProxyType(
    {
        "aac": 1024,
        "aac_latm": 1024,
        "mp3": 1152,
        "mp2": 1152,
        "mp1": 384,
        "ac3": 1536,
        "amr_nb": 160,
        "amr_wb": 320,
        "gsm": 160,
        "gsm_ms": 320,
    }
)
"""Codecs whose every packet holds the same number of samples; the decoder may know it better."""
OPUS_RATE: Final = 48_000
OPUS_FRAMES: Final = (*(480, 960, 1920, 2880) * 3, *(480, 960) * 2, *(120, 240, 480, 960) * 4)
"""Samples of one frame by the configuration number, SILK, hybrid and CELT."""
LONGEST_PACKET_SAMPLES: Final = 131_072
"""The largest block of any codec whose length can only be told by time stamps (WavPack)."""
_PCM: Final = re.compile(r"pcm_(?:[suf](?P<bits>16|24|32|64|8)(?:le|be)?|mulaw|alaw)")


class MediaProbe:
    """Looks into recordings, in the children of a pool that has ``av``.

    Args:
        seconds: bound of one probe.
    """

    def __init__(self, pool: ProcessPool, seconds: float = PROBE_SECONDS) -> None:
        self._pool = pool
        self._seconds = seconds

    async def probe(self, path: Path) -> AudioFacts:
        """Measure the first audio stream of a file.

        Raises:
            UnsupportedMedia: the first bytes are of no container that is taken.
            MediaRejected: ``audio_corrupt`` or ``audio_not_supported``.
        """
        try:
            return await self._pool.run(measure, str(path), seconds=self._seconds)
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
    import av  # noqa: PLC0415 - ffmpeg's libraries are loaded in children alone

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
        raise _corrupt("The audio cannot be read") from error


def _facts(media: Any, container: str, size: int) -> AudioFacts:
    if not media.streams.audio:
        raise MediaRejected("There is no audio in the file")
    stream = media.streams.audio[0]
    context = stream.codec_context
    if context is None:
        raise MediaRejected("The audio is of a kind that nothing here reads")
    codec, rate, channels = context.codec.canonical_name, context.sample_rate, context.channels
    if rate <= 0 or channels <= 0:
        raise _corrupt("The audio cannot be read")
    seconds = _seconds(media, stream, codec)
    if seconds <= 0:
        raise _corrupt("There are no sounds in the file")
    return AudioFacts(
        container=container,
        codec=codec,
        seconds=round(seconds, 3),
        sample_rate=rate,
        channels=channels,
        size=size,
    )


def _corrupt(message: str) -> MediaRejected:
    return MediaRejected(message, code="audio_corrupt")


def _seconds(media: Any, stream: Any, codec: str) -> float:
    """Length by what the packets hold where that can be told, else by their time stamps."""
    rate = stream.codec_context.sample_rate
    if codec == "opus":
        return sum(map(_opus_samples, _packets(media, stream))) / OPUS_RATE
    if codec in FRAME_SAMPLES:
        frame = stream.codec_context.frame_size or FRAME_SAMPLES[codec]
        return float(sum(frame for _ in _packets(media, stream)) / rate)
    if bits := _PCM.fullmatch(codec):
        frame_bytes = int(bits["bits"] or 8) // 8 * stream.codec_context.channels
        packets = _packets(media, stream, broken=True)
        return float(sum(packet.size for packet in packets) / frame_bytes / rate)
    return _by_time_stamps(_packets(media, stream), stream.time_base, LONGEST_PACKET_SAMPLES / rate)


def _packets(media: Any, stream: Any, *, broken: bool = False) -> Iterator[Any]:
    """Packets that hold audio. A file that is cut off ends early: what came before is there.

    Args:
        broken: whether half a packet holds something.
    """
    import av  # noqa: PLC0415 - as above

    try:
        for packet in media.demux(stream):
            if packet.has_sidedata("encryption_info"):
                raise MediaRejected("The audio is encrypted")
            if packet.size and (broken or not packet.is_corrupt):
                yield packet
    except av.error.FFmpegError as error:
        if isinstance(error, MemoryError):
            raise


def _opus_samples(packet: Any) -> int:
    """Samples at 48 kHz in an Opus packet, by its first bytes (RFC 6716, section 3.1)."""
    head = memoryview(packet)[:2]
    config, frames = head[0] >> 3, (1, 2, 2, 0)[head[0] & 3]
    if not frames:
        frames = head[1] & 0x3F if len(head) > 1 else 0
    return OPUS_FRAMES[config] * frames


def _by_time_stamps(packets: Iterable[Any], time_base: Fraction, longest: float) -> float:
    """Steps from stamp to stamp, none longer than a packet can be, and the last one's length."""
    limit = int(longest / time_base)
    total, before, lasts = 0, None, 0
    for packet in packets:
        if before is not None and packet.pts is not None:
            total += min(max(packet.pts - before, 0), limit)
        before = packet.pts if packet.pts is not None else before
        lasts = min(packet.duration or 0, limit)
    return float((total + lasts) * time_base)
