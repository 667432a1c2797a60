"""An upload that is under way: what is known of it between its first request and its last byte."""

from datetime import datetime

from contracts.values import Value


class UploadSession(Value):
    """One recording on its way to storage.

    Attributes:
        id: part of the address its bytes go to.
        key: storage key the whole file will have.
        media_type: as the client claims; the first bytes decide.
        length: bytes of the whole file.
        received: bytes that are kept, whatever crashes; a client goes on from there.
        sniffed: whether the first bytes were looked at, and are of a container that is taken.
        metadata: what the client said of the file, as the ``Upload-Metadata`` header spells it.
        signed: the bytes go straight to storage, which tells nobody how many it has.
        wanted: another request waits for the one that writes now.
        finished: the file is at its key.
    """

    id: str
    user_id: str
    key: str
    media_type: str
    length: int
    received: int = 0
    sniffed: bool = False
    metadata: str = ""
    signed: bool = False
    wanted: bool = False
    finished: bool = False
    expires_at: datetime
