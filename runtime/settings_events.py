"""Settings of what users are told without asking: streams of events, and mail."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from contracts.notifications import check_address
from runtime.settings_groups import Group, Url


class EventSettings(Group):
    """Streams of events."""

    title = "Events"
    stream_seconds: float = Field(
        3600,
        validation_alias="EVENT_STREAM_SECONDS",
        ge=0,
        le=86400,
        description="how long one stream of all jobs of a user (`GET /events`) stays open; its "
        "client comes again, with a token that is still good",
    )
    check_seconds: float = Field(
        30,
        validation_alias="STREAM_CHECK_SECONDS",
        gt=0,
        le=3600,
        description="how often an open event stream asks whether its token or key is still good; "
        "it ends when it is not",
    )


class MailSettings(Group):
    """The way out for mail: a notification service, an SMTP server, or none."""

    title = "Mail"
    notify_url: Url | None = Field(
        None,
        validation_alias="MANA_NOTIFY_URL",
        description="notification service that sends our mail; asked with SERVICE_KEY",
    )
    app_id: str = Field(
        "memoro",
        validation_alias="MEMORO_APP_ID",
        min_length=1,
        description="what this product is called there",
    )
    smtp_host: str | None = Field(
        None,
        validation_alias="SMTP_HOST",
        description="mail server, when there is no notification service; with neither, mail is "
        "kept in the database and logged without its words",
    )
    smtp_port: int = Field(
        587, validation_alias="SMTP_PORT", ge=1, le=65535, description="its port"
    )
    smtp_username: str | None = Field(
        None, validation_alias="SMTP_USERNAME", description="who signs in there; unset: nobody"
    )
    smtp_password: SecretStr | None = Field(
        None, validation_alias="SMTP_PASSWORD", description="the password of SMTP_USERNAME"
    )
    smtp_tls: Literal["starttls", "implicit", "none"] = Field(
        "starttls",
        validation_alias="SMTP_TLS",
        description="`starttls` (refused when the server cannot), `implicit` (port 465), or "
        "`none`: everything in the clear",
    )
    smtp_from: Annotated[str, AfterValidator(check_address)] = Field(
        "voicekeep@localhost.localdomain",
        validation_alias="SMTP_FROM",
        description="address our mail comes from",
    )
    smtp_timeout_seconds: float = Field(
        20,
        validation_alias="SMTP_TIMEOUT_SECONDS",
        gt=0,
        le=30,
        description="bound of sending one mail, connecting included",
    )
