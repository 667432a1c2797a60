"""Where recordings are kept and how that is reached: from the settings to the store."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from contracts.values import Value

StorageKind = Literal["disk", "supabase", "azure"]


class SupabaseAccess(Value):
    """A project of Supabase.

    Attributes:
        url: of the project.
        key: its service key.
    """

    url: str
    key: SecretStr
    bucket: str


class AzureAccess(Value):
    """An account of Azure storage.

    Attributes:
        url: its full address.
        key: base64.
    """

    url: str
    account: str
    key: SecretStr
    container: str


class StorageSetup(Value):
    """The storage that is used; access to another kind is not there.

    Attributes:
        folder: of the recordings, when they are on disk.
        spool: for files on their way to or from storage elsewhere.
    """

    kind: StorageKind
    folder: Path
    spool: Path
    supabase: SupabaseAccess | None = None
    azure: AzureAccess | None = None
