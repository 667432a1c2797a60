"""Every setting: its name in the environment, its default, its meaning.

A group per part of the product. ``.env.example`` and ``docs/configuration.md`` are compared with
these classes by a test, so a new setting is a line here and one in each of them.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from contracts.api_keys import Environment
from contracts.credits import LOW_BELOW
from contracts.queues import MAIN, MEDIA
from runtime.settings_values import (
    Issuer,
    PayloadKey,
    check_bind_address,
    check_tiers,
    parse_issuers,
    parse_payload_keys,
    split_list,
    strip_slash,
)

Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_list)]
Url = Annotated[str, AfterValidator(strip_slash)]
BindAddress = Annotated[str, AfterValidator(check_bind_address)]


class Group(BaseSettings):
    """Settings of one part of the product.

    Known by their aliases alone: by name too, a stray LEVEL or ADDRESS would be a setting.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)
    title: ClassVar[str]


class ServerSettings(Group):
    """The HTTP front."""

    title = "Server"
    host: str = Field(
        "127.0.0.1", validation_alias="HOST", description="address the API listens on"
    )
    port: int = Field(
        8000,
        validation_alias="PORT",
        ge=0,
        le=65535,
        description="port of the API; 0 takes a free one",
    )
    cors_origins: Names = Field(
        (),
        validation_alias="CORS_ORIGINS",
        description="comma list of origins whose pages may call the API",
    )
    public_url: Url | None = Field(
        None,
        validation_alias="PUBLIC_URL",
        description="address clients reach the API at, for links in its answers; else the one "
        "they asked at",
    )
    shutdown_seconds: float = Field(
        5,
        validation_alias="SHUTDOWN_SECONDS",
        ge=0,
        description="how long requests may go on after a stop is asked for",
    )


class LimitSettings(Group):
    """Bounds on what is taken."""

    title = "Limits"
    rate_limit_per_minute: int = Field(
        100,
        validation_alias="RATE_LIMIT_PER_MINUTE",
        ge=0,
        description="requests a minute of one principal; 0 switches the limit off",
    )
    rate_limit_wait_seconds: float = Field(
        0.25,
        validation_alias="RATE_LIMIT_WAIT_SECONDS",
        gt=0,
        le=30,
        description="how long a request waits for Postgres to count it; after that each API "
        "process counts for itself, for five seconds",
    )
    max_upload_mb: int = Field(
        2048,
        validation_alias="MAX_UPLOAD_MB",
        gt=0,
        description="largest upload, in MiB; beyond: 413",
    )
    max_open_uploads: int = Field(
        20,
        validation_alias="MAX_OPEN_UPLOADS",
        gt=0,
        description="uploads one user may have under way; beyond: 429",
    )
    upload_expiry_hours: float = Field(
        24,
        validation_alias="UPLOAD_EXPIRY_HOURS",
        gt=0,
        le=8760,
        description="how long an upload may be gone on with; then what came of it is removed",
    )
    max_audio_hours: float = Field(
        12,
        validation_alias="MAX_AUDIO_HOURS",
        gt=0,
        description="longest recording; a longer one fails as `audio_too_long`",
    )
    audio_wait_seconds: float = Field(
        60,
        validation_alias="AUDIO_WAIT_SECONDS",
        ge=0,
        description="how long a memo waits for a file that is not in storage yet",
    )
    long_call_wait_seconds: float = Field(
        25,
        validation_alias="LONG_CALL_WAIT_SECONDS",
        ge=0,
        le=300,
        description="how long a question, a combination or a headline is waited for before its "
        "call answers 202 and tells where to look",
    )
    openai_wait_seconds: float = Field(
        300,
        validation_alias="OPENAI_API_WAIT_SECONDS",
        ge=0,
        le=3600,
        description="how long a call of `/v1/audio` is waited for before it answers 409 "
        "`still_working`; the same call again goes on waiting for the same job. Less than "
        "REQUEST_TIMEOUT_SECONDS",
    )
    heartbeat_timeout_seconds: float = Field(
        60,
        validation_alias="HEARTBEAT_TIMEOUT_SECONDS",
        ge=1,
        description="seconds without a sign of life after which a worker counts as lost and its "
        "step goes to another; heartbeats cost, so not less than 30 on a paid Temporal",
    )


class CreditSettings(Group):
    """The built-in ledger."""

    title = "Credits"
    starting_credits: int = Field(
        150,
        validation_alias="STARTING_CREDITS",
        ge=0,
        description="balance of a user seen for the first time",
    )
    credits_low_below: int = Field(
        LOW_BELOW,
        validation_alias="CREDITS_LOW_BELOW",
        ge=0,
        description="the charge that takes a balance below it is told by the webhook "
        "`credits.low`; 0 for never",
    )


class TokenSettings(Group):
    """Whose bearer tokens are believed."""

    title = "Sign-in"
    mana_core_auth_url: Url | None = Field(
        None,
        validation_alias="MANA_CORE_AUTH_URL",
        description="adds this issuer: key set at `<url>/api/auth/jwks`, audience `mana`",
    )
    supabase_url: Url | None = Field(
        None,
        validation_alias="MEMORO_SUPABASE_URL",
        description="adds the issuer `<url>/auth/v1`, audience `authenticated`",
    )
    auth_issuers: Annotated[tuple[Issuer, ...], NoDecode, BeforeValidator(parse_issuers)] = Field(
        (),
        validation_alias="AUTH_ISSUERS",
        description="further issuers: JSON list of `{issuer, jwks_url, audience}`",
    )
    embedded_issuer: bool = Field(
        default=False,
        validation_alias="EMBEDDED_ISSUER",
        description="believe tokens of `voicekeep token` too; `voicekeep up` switches it on",
    )
    api_key_environment: Environment = Field(
        Environment.LIVE,
        validation_alias="API_KEY_ENVIRONMENT",
        description="`live` or `test`: API keys drawn here begin with `vk_live_` or `vk_test_`, "
        "and keys of the other kind are not believed",
    )

    def issuers(self) -> tuple[Issuer, ...]:
        """Every outside issuer these settings name."""
        found = list(self.auth_issuers)
        if url := self.mana_core_auth_url:
            found.append(Issuer(issuer=url, jwks_url=f"{url}/api/auth/jwks", audience="mana"))
        if url := self.supabase_url:
            base = f"{url}/auth/v1"
            found.append(
                Issuer(
                    issuer=base,
                    jwks_url=f"{base}/.well-known/jwks.json",
                    audience="authenticated",
                )
            )
        return tuple(found)


class DatabaseSettings(Group):
    """Where rows are kept."""

    title = "Database"
    database_url: SecretStr | None = Field(
        None,
        validation_alias="DATABASE_URL",
        description="`postgresql://user:password@host/name`; else SQLite in DATA_DIR",
    )
    pool_size: int = Field(
        10,
        validation_alias="DATABASE_POOL_SIZE",
        gt=0,
        description="connections one process keeps open to Postgres",
    )


class MediaSettings(Group):
    """ffmpeg."""

    title = "Media"
    ffmpeg: str = Field(
        "ffmpeg", validation_alias="FFMPEG_PATH", description="the ffmpeg to run: a name or a path"
    )


class TemporalSettings(Group):
    """The connection to Temporal, beside what ``temporalio.envconfig`` reads itself."""

    title = "Temporal"
    address: str = Field(
        "127.0.0.1:7233",
        validation_alias="TEMPORAL_ADDRESS",
        description="`host:port`; when it is set, `voicekeep up` starts no server",
    )
    namespace: str = Field(
        "default", validation_alias="TEMPORAL_NAMESPACE", description="namespace of the jobs"
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias="TEMPORAL_API_KEY",
        description="key for Temporal Cloud; switches TLS on",
    )
    tls: str | None = Field(
        None,
        validation_alias="TEMPORAL_TLS",
        description="`true` or `false`; certificates by the other names of Temporal's own "
        "`TEMPORAL_TLS_*` settings",
    )
    cli: str | None = Field(
        None,
        validation_alias="TEMPORAL_CLI",
        description="the Temporal CLI that `voicekeep up` runs; else `.tools/temporal`, then PATH",
    )
    ui_url: Url | None = Field(
        None, validation_alias="TEMPORAL_UI_URL", description="address of the web UI, for links"
    )
    payload_keys: Annotated[
        tuple[PayloadKey, ...], NoDecode, BeforeValidator(parse_payload_keys)
    ] = Field(
        (),
        validation_alias="TEMPORAL_PAYLOAD_KEYS",
        description="`id:base64,older:base64`: AES-256 keys that seal what Temporal stores; the "
        "first seals, all open",
    )


class WorkerSettings(Group):
    """How much one worker does at once."""

    title = "Worker"
    queues: Names = Field(
        (MAIN, MEDIA),
        validation_alias="WORKER_QUEUES",
        description="comma list of the task queues this worker serves",
    )
    workflow_tasks: int = Field(
        10,
        validation_alias="WORKER_WORKFLOW_TASKS",
        ge=2,
        description="workflow tasks at once",
    )
    activities: int = Field(
        100,
        validation_alias="WORKER_ACTIVITIES",
        gt=0,
        description="activities that wait for I/O at once",
    )
    media_slots: int | None = Field(
        None,
        validation_alias="WORKER_MEDIA_SLOTS",
        gt=0,
        description="ffmpeg and local recognition at once; else one per processor",
    )
    cached_workflows: int = Field(
        1000,
        validation_alias="WORKER_CACHED_WORKFLOWS",
        ge=0,
        description="workflows kept in memory between their tasks",
    )
    metrics_address: BindAddress | None = Field(
        None,
        validation_alias="WORKER_METRICS_ADDRESS",
        description="`host:port` of the worker's `/metrics`; unset serves none",
    )


class TranscriptionSettings(Group):
    """Who transcribes, in which order, how patiently."""

    title = "Transcription"
    transcription_tiers: Annotated[Names, AfterValidator(check_tiers)] = Field(
        (),
        validation_alias="TRANSCRIPTION_TIERS",
        description="comma list, tried in this order: `azure-fast`, `azure-fast-other-region`, "
        "`azure-fast-converted`, `azure-batch`, `openai`, `gemini`, `whisper`, `local`; else what "
        "is configured. `external` waits for the report of an outside transcriber",
    )
    external_transcript_timeout_seconds: float = Field(
        900,
        validation_alias="EXTERNAL_TRANSCRIPT_TIMEOUT_SECONDS",
        gt=0,
        description="how long the tier `external` waits for `/internal/transcription-completed` "
        "before the next tier",
    )
    tier_tries: int = Field(
        2,
        validation_alias="TIER_TRIES",
        gt=0,
        description="tries of one tier while the vendor is busy",
    )
    tier_backoff_seconds: float = Field(
        2,
        validation_alias="TIER_BACKOFF_SECONDS",
        ge=0,
        description="pause between them, doubling; a Retry-After up to 300 s is waited for, a "
        "longer one makes it the next tier's turn",
    )
    vendor_call_timeout_seconds: float = Field(
        1200,
        validation_alias="VENDOR_CALL_TIMEOUT_SECONDS",
        gt=0,
        description="bound of one call to a vendor",
    )
    openai_api_key: SecretStr | None = Field(
        None, validation_alias="OPENAI_API_KEY", description="key of the tier `openai`"
    )
    openai_base_url: Url | None = Field(
        None,
        validation_alias="OPENAI_BASE_URL",
        description="any server that speaks OpenAI's API; else OpenAI itself",
    )
    openai_transcription_model: str = Field(
        "gpt-transcribe",
        validation_alias="OPENAI_TRANSCRIPTION_MODEL",
        description="model the tier `openai` asks for (whisper-1 is shut down on 2027-02-26)",
    )

    openai_transcription_max_mb: int = Field(
        25,
        validation_alias="OPENAI_TRANSCRIPTION_MAX_MB",
        gt=0,
        description="largest file the tier `openai` takes; longer recordings go in chunks below it",
    )


class LogSettings(Group):
    """What is logged, and how."""

    title = "Logs"
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        validation_alias="LOG_LEVEL",
        description="`debug`, `info`, `warning` or `error`",
    )
    format: Literal["auto", "json", "console"] = Field(
        "auto",
        validation_alias="LOG_FORMAT",
        description="`json`, `console`, or `auto`: console on a terminal",
    )
