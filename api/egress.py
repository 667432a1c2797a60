"""Addresses that clients give us to fetch from or to call: judged when they are given.

They are judged again whenever they are asked (``providers/egress.py``). What is said here saves the
client from hearing it later; a host that cannot be looked up now may be there then.
"""

import hashlib
from datetime import datetime
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from contracts.egress import EgressRules, Resolve, parse_target
from contracts.errors import Unreachable
from contracts.ids import audio_key, memo_job
from contracts.signatures import CONTAINERS
from runtime.seals import Seals

_EXTENSIONS: Final = {kind.extension: kind.extension for kind in CONTAINERS.values()} | {
    "mp4": "m4a",
    "mov": "m4a",
    "opus": "ogg",
    "oga": "ogg",
    "mka": "webm",
    "mkv": "webm",
    "aif": "aiff",
}
_DEFAULT: Final = "m4a"


class MediaAddress(NamedTuple):
    """Where the recording of a memo is, as it is kept until it has been fetched.

    Attributes:
        sealed: for the memo's job.
        digest: by which the same address is known again.
    """

    sealed: str
    digest: str


class Egress:
    """What the API knows of addresses of strangers.

    Args:
        rules: what may be reached beside https to public addresses.
        resolve: looks up hosts.
        seals: for what is kept of them.
    """

    def __init__(self, rules: EgressRules, resolve: Resolve, seals: Seals) -> None:
        self._rules = rules
        self._resolve = resolve
        self._seals = seals

    async def check(self, url: str) -> None:
        """Refuse an address that cannot be allowed, by what its host resolves to now.

        Raises:
            InvalidInput: ``url_not_allowed``; nothing of the address is repeated.
        """
        target = parse_target(url)
        self._rules.check(target)
        if target.literal is not None:
            return
        try:
            found = await self._resolve(target.host, target.port)
        except Unreachable:
            return
        self._rules.permit(target, found)

    def seal(self, text: str, about: str) -> str:
        """A secret as it is kept; ``about`` says whose it is."""
        return self._seals.seal(text, about)

    def unseal(self, sealed: str, about: str) -> str:
        """It again; raises Rejected, ``seal_broken``."""
        return self._seals.open(sealed, about)

    def media(self, url: str, memo_id: str) -> MediaAddress:
        """A checked address as it is kept for a memo."""
        sealed = self._seals.seal(url, memo_job(memo_id))
        return MediaAddress(sealed, hashlib.sha256(url.encode()).hexdigest())


def expected_key(url: str, user_id: str, memo_id: str, at: datetime) -> str:
    """Where the recording will be stored, when it is what its address says.

    Its first bytes decide: another container has another extension.
    """
    suffix = PurePosixPath(parse_target(url).path.partition("?")[0]).suffix
    extension = _EXTENSIONS.get(suffix.removeprefix(".").lower(), _DEFAULT)
    return audio_key(user_id, memo_id, at, extension)
