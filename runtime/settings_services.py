"""Services of other machines: the secrets of those that call us, and those we call."""

from typing import Any

from pydantic import Field, SecretStr

from runtime.settings_groups import Group, Url


def _secret(name: str, description: str) -> Any:
    return Field(None, validation_alias=name, description=description)


class ServiceSettings(Group):
    """Keys of services and of the cron job, and the services that are asked."""

    title = "Services"
    service_key: SecretStr | None = _secret(
        "SERVICE_KEY",
        "key of trusted services (header `X-Service-Key`) for `/internal/*`; unset: those routes "
        "are closed",
    )
    internal_api_key: SecretStr | None = _secret(
        "INTERNAL_API_KEY",
        "key of the cron job (header `X-Internal-API-Key`) for `/cleanup/*`; unset: those routes "
        "are closed",
    )

    mana_credits_url: Url | None = Field(
        None,
        validation_alias="MANA_CREDITS_URL",
        description="credits service that keeps the credits of users, asked with SERVICE_KEY; "
        "unset: the built-in ledger does",
    )

    def secret(self, name: str) -> SecretStr | None:
        """One of them, by its name in the environment."""
        secrets = {"SERVICE_KEY": self.service_key, "INTERNAL_API_KEY": self.internal_api_key}
        return secrets[name]
