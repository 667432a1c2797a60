"""Settings of users who sign in with a token of a vendor."""

from typing import Final

from pydantic import Field, SecretStr

from runtime.settings_groups import Group

DAY_SECONDS: Final = 86_400.0


class SignInSettings(Group):
    """Sessions for who shows a token of OpenAI's, or of the server at OPENAI_BASE_URL."""

    title = "Sign-in with a token of OpenAI"
    token_sign_in: bool | None = Field(
        None,
        validation_alias="TOKEN_SIGN_IN",
        description="open `/auth/verify` and `/auth/refresh`: whoever has a token that "
        "OPENAI_BASE_URL (else OpenAI) takes gets a session that reads aloud; unset: as "
        "EMBEDDED_ISSUER",
    )
    session_key: SecretStr | None = Field(
        None,
        validation_alias="SESSION_KEY",
        min_length=32,
        description="secret that sessions are signed with and users known by, the same in every "
        "API process: with another one everybody is somebody else; unset: made of the key in the "
        "data folder",
    )
    session_days: float = Field(
        7, validation_alias="SESSION_DAYS", gt=0, le=365, description="how long a session lasts"
    )
    verify_seconds: float = Field(
        10,
        validation_alias="TOKEN_CHECK_TIMEOUT_SECONDS",
        gt=0,
        description="bound of asking whether a token is one",
    )
    believed_seconds: float = Field(
        300,
        validation_alias="TOKEN_CHECK_KEPT_SECONDS",
        ge=0,
        description="how long an answer to that is kept: a token that was revoked signs in for so "
        "long",
    )

    @property
    def session_seconds(self) -> float:
        """SESSION_DAYS in seconds."""
        return self.session_days * DAY_SECONDS
