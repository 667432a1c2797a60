"""Tokens of a vendor that users own, and that speak for them: the names of what can go wrong."""

from typing import Final

NOT_TAKEN: Final = "own_token_not_taken"
"""Code of a request with a token where none of a user's speaks; the sentence says why."""

REFUSED: Final = "vendor_token_refused"
"""Code of a job whose token the vendor took first, and then no more."""

GONE: Final = "vendor_token_gone"
"""Code of a job whose token is not there: it was ended meanwhile."""
