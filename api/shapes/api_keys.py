"""Bodies and answers about API keys."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from api.shapes.fields import EXAMPLE_MEMO, Answer, Body, Omittable, Part, Time
from api.shapes.fields import example as shown
from contracts.api_keys import ApiKey, Scope

EXAMPLE_KEY: Final = "vk_live_3fJ9xQ2mZr8TbLw5KcYv7HdNs1GpAe4OjTfhS"
EXAMPLE_EXPIRY: Final = "2027-01-31T09:15:00+00:00"


def moment_of(text: str) -> datetime:
    """A time in UTC; one that names no zone is in UTC already."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _spellable(text: str) -> str:
    try:
        moment_of(text)
    except OverflowError:
        message = "Input should be a time of the years 1 to 9999 in UTC"
        raise PydanticCustomError("time", message) from None
    return text


Scopes = Annotated[
    list[Annotated[Scope, Field(strict=False)]], Field(min_length=1, max_length=len(Scope))
]
_Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
_Expiry = Annotated[Time, AfterValidator(_spellable)]


class NewApiKey(Body):
    """What a key is to be for."""

    model_config = shown(
        {
            "name": "Nightly import",
            "scopes": ["memos:read", "memos:write"],
            "expiresAt": EXAMPLE_EXPIRY,
        }
    )

    name: _Name = Field(description="For its owner, who will see it in the list.")
    scopes: Scopes = Field(description="What it may be used for; `admin` is everything.")
    expires_at: Omittable[_Expiry] = Field(
        None, description="It works until then; left out: until it is revoked."
    )

    @property
    def expiry(self) -> datetime | None:
        """When it ends."""
        return None if self.expires_at is None else moment_of(self.expires_at)


class ApiKeyView(Part):
    """A key, without what would open anything."""

    id: str = Field(examples=[EXAMPLE_MEMO])
    name: str
    prefix: str = Field(description="What it begins with.", examples=["vk_live_"])
    last4: str = Field(description="What it ends with.", examples=[EXAMPLE_KEY[-4:]])
    scopes: list[Scope]
    expires_at: str | None
    last_used_at: str | None = Field(description="Give or take a minute.")
    created_at: str

    @classmethod
    def of(cls, key: ApiKey) -> "ApiKeyView":
        """The view of a row."""
        return cls(
            id=key.id,
            name=key.name,
            prefix=key.prefix,
            last4=key.last4,
            scopes=list(key.scopes),
            expires_at=_spelled(key.expires_at),
            last_used_at=_spelled(key.last_used_at),
            created_at=key.created_at.isoformat(),
        )


def _spelled(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


class ApiKeyCreated(Answer):
    """A new key."""

    api_key: ApiKeyView
    key: str | None = Field(
        description="Shown this once. Null only when the same `Idempotency-Key` comes again and "
        "the installation cannot unseal it any more: revoke it then, and draw another one.",
        examples=[EXAMPLE_KEY],
    )


class ApiKeyList(Answer):
    """Every key of the caller."""

    api_keys: list[ApiKeyView]


class ApiKeyRevoked(Answer):
    """That a key is worthless now."""

    api_key_id: str


def kept_answer(key: ApiKey, sealed: str) -> dict[str, Any]:
    """The answer as it stands with an ``Idempotency-Key``: the key in it is sealed."""
    answer = ApiKeyCreated(api_key=ApiKeyView.of(key), key=sealed)
    return answer.model_dump(mode="json", by_alias=True)
