"""Settings of calls to addresses that strangers give."""

from typing import Annotated

from pydantic import AfterValidator, Field

from contracts.egress import EgressRules, parse_rules
from runtime.settings_groups import Group, Names


def check_rules(entries: tuple[str, ...]) -> tuple[str, ...]:
    """The entries, when each is a host, host:port or a network.

    Raises:
        ValueError: one is neither.
    """
    parse_rules(entries)
    return entries


class EgressSettings(Group):
    """Media by URL and outgoing webhooks."""

    title = "Outgoing calls"
    allow: Annotated[Names, AfterValidator(check_rules)] = Field(
        (),
        validation_alias="EGRESS_ALLOW",
        description="comma list of `host`, `host:port` or network (`10.0.0.0/8`) that media by URL "
        "and webhooks may reach although private or by plain http; else https to public addresses",
    )
    fetch_tries: int = Field(
        4,
        validation_alias="MEDIA_FETCH_TRIES",
        gt=0,
        description="tries of fetching a recording by its URL while its server is away; pauses of "
        "2, 4, 8, … s between them, a Retry-After up to 300 s is obeyed",
    )
    fetch_timeout_seconds: float = Field(
        1800,
        validation_alias="MEDIA_FETCH_TIMEOUT_SECONDS",
        gt=0,
        le=3600,
        description="bound of one such try",
    )

    @property
    def rules(self) -> EgressRules:
        """What is allowed beside https to public addresses."""
        return parse_rules(self.allow)
