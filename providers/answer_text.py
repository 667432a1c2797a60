"""Text of a vendor's answer, as it can be stored."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Without what neither UTF-8 nor Postgres holds."""
    return _UNSTORABLE.sub("", text)


Text = Annotated[str, AfterValidator(storable)]
"""A field of an answer's shape."""
