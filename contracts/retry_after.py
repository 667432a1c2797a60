"""How long a server asks its callers to wait (RFC 9110, 10.2.3)."""

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait by ``Retry-After``, given in seconds or as a date.

    Args:
        headers: names in lower case or a mapping that does not mind.
        now: seconds since 1970, for dates.

    Returns:
        None when the header is missing or makes no sense; never negative.
    """
    value = (headers.get("retry-after") or "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - (time.time() if now is None else now))
