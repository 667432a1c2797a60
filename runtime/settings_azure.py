"""Settings of Azure: speech resources and the blob storage that batch transcription reads from."""

from typing import Any, Final

from pydantic import Field, SecretStr

from contracts.values import Value
from runtime.settings_groups import Group, Names, Url

NUMBERS: Final = (1, 2, 3, 4)
REGION: Final = "swedencentral"
LOCALES: Final = (
    *("de-DE", "en-GB", "fr-FR", "it-IT", "es-ES"),
    *("sv-SE", "ru-RU", "nl-NL", "tr-TR", "pt-PT"),
)


class SpeechKey(Value):
    """One key of one speech resource.

    Attributes:
        name: what logs and rows call it.
        endpoint: address of the resource.
    """

    name: str
    region: str
    endpoint: str
    key: SecretStr


def _key(number: int) -> Any:
    return Field(
        None,
        validation_alias=f"AZURE_SPEECH_KEY_{number}",
        description="key of one more resource, tried in this order; once one of them is set, "
        "AZURE_SPEECH_KEY is not used",
    )


def _region(number: int) -> Any:
    return Field(
        None,
        validation_alias=f"AZURE_SPEECH_REGION_{number}",
        description=f"region of the resource of AZURE_SPEECH_KEY_{number}; else "
        "AZURE_SPEECH_REGION",
    )


def _endpoint(number: int) -> Any:
    return Field(
        None,
        validation_alias=f"AZURE_SPEECH_ENDPOINT_{number}",
        description=f"address of the resource of AZURE_SPEECH_KEY_{number}; else "
        "AZURE_SPEECH_ENDPOINT, else by its region",
    )


class AzureSettings(Group):
    """Azure's speech to text."""

    title = "Azure"
    speech_key: SecretStr | None = Field(
        None, validation_alias="AZURE_SPEECH_KEY", description="key of the speech resource"
    )
    speech_key_1: SecretStr | None = _key(1)
    speech_key_2: SecretStr | None = _key(2)
    speech_key_3: SecretStr | None = _key(3)
    speech_key_4: SecretStr | None = _key(4)
    speech_region: str = Field(
        REGION, validation_alias="AZURE_SPEECH_REGION", description="region of the speech resource"
    )
    speech_region_1: str | None = _region(1)
    speech_region_2: str | None = _region(2)
    speech_region_3: str | None = _region(3)
    speech_region_4: str | None = _region(4)
    speech_endpoint: Url | None = Field(
        None,
        validation_alias="AZURE_SPEECH_ENDPOINT",
        description="address of the speech resource; else by its region",
    )
    speech_endpoint_1: Url | None = _endpoint(1)
    speech_endpoint_2: Url | None = _endpoint(2)
    speech_endpoint_3: Url | None = _endpoint(3)
    speech_endpoint_4: Url | None = _endpoint(4)
    speech_api_version: str = Field(
        "2025-10-15",
        validation_alias="AZURE_SPEECH_API_VERSION",
        pattern=r"^\d{4}-\d{2}-\d{2}(-preview)?$",
        description="version of the speech to text REST API (2024-11-15 is still served)",
    )
    speech_locales: Names = Field(
        LOCALES,
        validation_alias="AZURE_SPEECH_LOCALES",
        min_length=1,
        description="what may be spoken when a memo names no language, the likeliest first; batch "
        "transcription tells the first ten apart",
    )
    speech_speakers: int = Field(
        10,
        validation_alias="AZURE_SPEECH_SPEAKERS",
        ge=2,
        le=35,
        description="most speakers told apart",
    )
    speech_phrases: Names = Field(
        (),
        validation_alias="AZURE_SPEECH_PHRASES",
        description="comma list of words fast transcription should expect",
    )
    fast_max_mb: int = Field(
        250,
        validation_alias="AZURE_FAST_MAX_MB",
        gt=0,
        description="largest file for fast transcription, in MB of 10^6 bytes (Microsoft's pages "
        "say 250, 300 and 500)",
    )
    fast_max_seconds: float = Field(
        6900,
        validation_alias="AZURE_FAST_MAX_SECONDS",
        gt=0,
        description="longest audio for fast transcription (Microsoft's pages say 2 and 5 hours)",
    )
    batch_max_mb: int = Field(
        1000,
        validation_alias="AZURE_BATCH_MAX_MB",
        gt=0,
        description="largest file for batch transcription, in MB of 10^6 bytes",
    )
    batch_poll_seconds: float = Field(
        30,
        validation_alias="AZURE_BATCH_POLL_SECONDS",
        gt=0,
        description="first pause between two looks at a batch job, growing to 300",
    )
    speech_webhook_secret: SecretStr | None = Field(
        None,
        validation_alias="AZURE_SPEECH_WEBHOOK_SECRET",
        description="secret of the speech resource's webhook, which ends the pause between two "
        "looks at a batch job; unset: `/webhooks/azure-speech` is closed",
    )
    events_key: SecretStr | None = Field(
        None,
        validation_alias="AZURE_EVENTS_KEY",
        description="key in the address of the Event Grid subscription, likewise; unset: "
        "`/webhooks/azure-events` is closed",
    )
    storage_account_name: str | None = Field(
        None,
        validation_alias="AZURE_STORAGE_ACCOUNT_NAME",
        description="account of the blob storage that batch transcription reads from, and "
        "that keeps the recordings when STORAGE is `azure`",
    )
    storage_account_key: SecretStr | None = Field(
        None, validation_alias="AZURE_STORAGE_ACCOUNT_KEY", description="key of that account"
    )
    blob_endpoint: Url | None = Field(
        None,
        validation_alias="AZURE_BLOB_ENDPOINT",
        description="the account's full address, `http://127.0.0.1:10000/devstoreaccount1` for "
        "Azurite; else by its name",
    )
    staging_container: str = Field(
        "voicekeep-staging",
        validation_alias="AZURE_STAGING_CONTAINER",
        pattern=r"^[a-z0-9](-?[a-z0-9]){2,}$",
        max_length=63,
        description="container of what batch transcription reads; made when it is missing",
    )

    def speech_keys(self) -> tuple[SpeechKey, ...]:
        """Every configured key, in the order in which they are tried."""
        found = [self._speech_key(number) for number in NUMBERS]
        numbered = tuple(each for each in found if each is not None)
        if numbered or self.speech_key is None:
            return numbered
        return (self._made(self.speech_key, self.speech_region, self.speech_endpoint),)

    def blob_url(self) -> str | None:
        """Full address of the storage account; none when it is not configured."""
        if self.storage_account_name is None or self.storage_account_key is None:
            return None
        return self.blob_endpoint or f"https://{self.storage_account_name}.blob.core.windows.net"

    def _speech_key(self, number: int) -> SpeechKey | None:
        key: SecretStr | None = getattr(self, f"speech_key_{number}")
        if key is None:
            return None
        region = getattr(self, f"speech_region_{number}") or self.speech_region
        endpoint = getattr(self, f"speech_endpoint_{number}") or self.speech_endpoint
        return self._made(key, region, endpoint, f"-{number}")

    @staticmethod
    def _made(key: SecretStr, region: str, endpoint: str | None, suffix: str = "") -> SpeechKey:
        return SpeechKey(
            name=f"{region}{suffix}",
            region=region,
            endpoint=endpoint or f"https://{region}.api.cognitive.microsoft.com",
            key=key,
        )
