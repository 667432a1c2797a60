"""How the product behaves for one user: ``app_settings.memoro`` of their profile."""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from store.database import Transaction


class UserSettings(NamedTuple):
    """What of the settings decides how something is written.

    Attributes:
        language: the user's, as a language tag.
        system_prompt: what the user wants a model to be told; empty for nothing.
    """

    language: str | None
    system_prompt: str


async def user_settings(tx: "Transaction", user_id: str) -> UserSettings:
    """The user's settings; what is no text counts as not set."""
    profile = await tx.profiles.find(user_id)
    memoro = profile.app_settings.get("memoro") if profile is not None else None
    kept: dict[str, Any] = memoro if isinstance(memoro, dict) else {}
    return UserSettings(_text(kept.get("language")) or None, _text(kept.get("systemPrompt")))


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
