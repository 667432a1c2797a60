"""What a user said about themselves and how the product should behave for them."""

from datetime import datetime
from typing import Any

from contracts.values import Value


class Profile(Value):
    """A user's row in ``profiles``; ``app_settings.memoro`` holds the settings of the memo app."""

    user_id: str
    email: str | None = None
    app_settings: dict[str, Any] = {}
    display_name: str | None = None
    avatar_url: str | None = None
    bio: str | None = None
    updated_at: datetime
