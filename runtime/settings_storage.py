"""Settings of where recordings are kept, and what each kind of storage needs of them."""

from pathlib import Path

from pydantic import Field, SecretStr

from contracts.storage_setup import AzureAccess, StorageKind, StorageSetup, SupabaseAccess
from runtime.settings_azure import AzureSettings
from runtime.settings_groups import Group, TokenSettings


class StorageSettings(Group):
    """Where recordings are kept."""

    title = "Storage"
    data_dir: Path = Field(
        Path(".voicekeep"),
        validation_alias="DATA_DIR",
        description="folder of everything the embedded set-up keeps",
    )
    storage: StorageKind = Field(
        "disk",
        validation_alias="STORAGE",
        description="`disk`: the folder `files` of DATA_DIR; `supabase`: a bucket of Supabase "
        "Storage; `azure`: a container of Azure Blob storage",
    )
    supabase_service_key: SecretStr | None = Field(
        None,
        validation_alias="MEMORO_SUPABASE_SERVICE_KEY",
        description="service key of the project at MEMORO_SUPABASE_URL: for `supabase`, and to "
        "tell its listeners what becomes of memos",
    )
    supabase_bucket: str = Field(
        "user-uploads",
        validation_alias="SUPABASE_BUCKET",
        min_length=1,
        max_length=100,
        description="private bucket of the recordings; for `supabase`",
    )
    azure_container: str = Field(
        "user-uploads",
        validation_alias="AZURE_STORAGE_CONTAINER",
        pattern=r"^[a-z0-9](-?[a-z0-9]){2,}$",
        max_length=63,
        description="container of the recordings in the account of AZURE_STORAGE_ACCOUNT_NAME, "
        "made when it is missing; for `azure`",
    )

    def setup(self, tokens: TokenSettings, azure: AzureSettings) -> StorageSetup:
        """Where the recordings are, and how that is reached.

        Raises:
            ValueError: what the storage needs is not set.
        """
        folder = self.data_dir.absolute()
        setup = StorageSetup(
            kind=self.storage, folder=folder / "files", spool=folder / "work" / "spool"
        )
        if self.storage == "supabase":
            return setup.model_copy(update={"supabase": self._supabase(tokens)})
        if self.storage == "azure":
            return setup.model_copy(update={"azure": self._azure(azure)})
        return setup

    def _supabase(self, tokens: TokenSettings) -> SupabaseAccess:
        url, key = tokens.supabase_url, self.supabase_service_key
        if url is None or key is None:
            raise ValueError(
                "STORAGE is supabase, which needs MEMORO_SUPABASE_URL and "
                "MEMORO_SUPABASE_SERVICE_KEY."
            )
        return SupabaseAccess(url=url, key=key, bucket=self.supabase_bucket)

    def _azure(self, azure: AzureSettings) -> AzureAccess:
        url, key = azure.blob_url(), azure.storage_account_key
        if url is None or key is None or azure.storage_account_name is None:
            raise ValueError(
                "STORAGE is azure, which needs AZURE_STORAGE_ACCOUNT_NAME and "
                "AZURE_STORAGE_ACCOUNT_KEY."
            )
        return AzureAccess(
            url=url,
            account=azure.storage_account_name,
            key=key,
            container=self.azure_container,
        )
