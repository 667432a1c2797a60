"""What a client may claim that a recording is, before its first bytes decide."""

from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Final

from contracts.errors import UnsupportedMedia
from contracts.signatures import CONTAINERS

ANY: Final = "application/octet-stream"

_NAMES: Final = {
    "mov": (
        "audio/mp4 audio/m4a audio/x-m4a audio/mp4a-latm video/mp4 video/quicktime "
        "audio/3gpp video/3gpp audio/3gpp2 video/3gpp2"
    ),
    "mp3": "audio/mpeg audio/mp3 audio/mpeg3 audio/x-mp3 audio/x-mpeg",
    "ogg": "audio/ogg audio/opus audio/vorbis audio/speex application/ogg video/ogg",
    "wav": "audio/wav audio/x-wav audio/wave audio/vnd.wave audio/x-pn-wav",
    "flac": "audio/flac audio/x-flac",
    "matroska": "audio/webm video/webm audio/x-matroska video/x-matroska audio/matroska",
    "aac": "audio/aac audio/aacp audio/x-aac audio/x-hx-aac-adts",
    "amr": "audio/amr audio/amr-wb",
    "aiff": "audio/aiff audio/x-aiff",
    "asf": "audio/x-ms-wma video/x-ms-wmv video/x-ms-asf application/vnd.ms-asf",
    "caf": "audio/x-caf audio/caf",
}
CONTAINER_OF: Final = MappingProxyType(
    {name: container for container, names in _NAMES.items() for name in names.split()}
)
"""Container by media type; ``application/octet-stream`` claims nothing."""

_EXTENSIONS: Final = (
    "3g2,3gp,aac,aif,aifc,aiff,amr,asf,caf,flac,m4a,m4b,mka,mkv,mov,mp3,mp4,oga,ogg,opus,wav,weba,"
    "webm,wma"
)
EXTENSIONS: Final = frozenset(_EXTENSIONS.split(","))


def check_media_type(text: str) -> str:
    """A media type that is taken, in lower case and without parameters.

    Raises:
        UnsupportedMedia: it is not.
    """
    name = text.partition(";")[0].strip().lower()
    if name != ANY and name not in CONTAINER_OF:
        raise UnsupportedMedia("The media type is of no audio container that is taken")
    return name


def extension_of(filename: str, media_type: str) -> str:
    """Extension of the stored file: the name's when it is one of audio, else the media type's.

    Args:
        filename: as the client says it; nothing else of it is used.
        media_type: checked.
    """
    suffix = PurePosixPath(filename.lower()).suffix.removeprefix(".")
    if suffix in EXTENSIONS:
        return suffix
    container = CONTAINER_OF.get(media_type)
    return "bin" if container is None else CONTAINERS[container].extension
