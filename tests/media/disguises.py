"""Playlists that say they are audio: each of them tries to make ffmpeg open another local file."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ID3: Final = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10)
FTYP: Final = b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00isomiso2mp41"
RIFF: Final = b"RIFF\xff\xff\xff\x7fWAVE"


class Disguise(NamedTuple):
    """A file that pretends.

    Attributes:
        name: playlist and disguise, for the test's report.
        extension: what it is called.
        content: its bytes.
        kind: the demuxer that plain ffmpeg would take for it.
    """

    name: str
    extension: str
    content: bytes
    kind: str


def playlists(target: Path) -> dict[str, str]:
    """Texts that point at ``target``, by name; the part before the blank is the demuxer."""
    uri, plain = f"file:{target}", str(target)
    return {
        "hls media": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{uri}\n#EXT-X-ENDLIST\n",
        "hls plain": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{plain}\n#EXT-X-ENDLIST\n",
        "hls map": f'#EXTM3U\n#EXT-X-MAP:URI="{uri}"\n#EXTINF:5,\n{uri}\n#EXT-X-ENDLIST\n',
        "hls master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{uri}\n",
        "hls key": (
            f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{uri}"\n#EXTINF:5,\n{uri}\n#EXT-X-ENDLIST\n'
        ),
        "dash base": (
            '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" '
            'mediaPresentationDuration="PT5S"><Period>'
            '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>{uri}</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
        ),
        "dash bare": (
            '<MPD profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static"><Period>'
            '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>{uri}</BaseURL></Representation></AdaptationSet></Period></MPD>\n"
        ),
        "concat uri": f"ffconcat version 1.0\nfile '{uri}'\n",
        "concat plain": f"ffconcat version 1.0\nfile '{plain}'\nduration 5\n",
        "sdp local": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns={plain}\nt=0 0\nm=audio 1 RTP/AVP 0\n",
        "xspf list": f'<playlist version="1"><track><location>{uri}</location></track></playlist>',
        "pls list": f"[playlist]\nFile1={plain}\nNumberOfEntries=1\n",
        "smil list": f'<smil><body><audio src="{uri}"/></body></smil>',
        "html page": f'<html><audio src="{uri}"></audio></html>',
    }


def _worn(text: str) -> Iterator[tuple[str, bytes]]:
    plain = text.encode()
    comment = b"<!-- audio -->" if text.startswith("<") else b"# audio\n"
    yield "as it is", plain
    yield "byte order mark", b"\xef\xbb\xbf" + plain
    yield "utf-16", b"\xff\xfe" + text.encode("utf-16-le")
    yield "utf-16 big", b"\xfe\xff" + text.encode("utf-16-be")
    yield "utf-16 unmarked", text.encode("utf-16-le")
    yield "utf-32", b"\xff\xfe\x00\x00" + text.encode("utf-32-le")
    yield "white space", b" \t\r\n\n" + plain
    yield "much white space", b"\n" * 5000 + plain
    yield "nothings", bytes(16) + plain
    yield "comment", comment + plain
    yield "carriage returns", plain.replace(b"\n", b"\r\n")
    yield "audio behind it", plain + random.Random(len(text)).randbytes(20_000)
    yield "id3", ID3 + plain
    yield "m4a brand", FTYP + plain
    yield "riff", RIFF + plain
    yield "amr", b"#!AMR\n" + plain


def disguises(target: Path) -> list[Disguise]:
    """Every playlist in every disguise, more than two hundred, in a fixed order."""
    extensions = ("m4a", "mp3", "wav", "ogg", "webm")
    found = [
        Disguise(f"{name}, {worn}", "", content, name.split()[0])
        for name, text in playlists(target).items()
        for worn, content in _worn(text)
    ]
    return [
        each._replace(extension=extensions[at % len(extensions)]) for at, each in enumerate(found)
    ]
