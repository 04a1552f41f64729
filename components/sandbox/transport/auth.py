"""API credentials of the sandbox, and their comparison in constant time."""

from hmac import compare_digest

from msgspec import Struct


class Credentials(Struct, frozen=True, kw_only=True):
    """Account id and API credentials of the sandbox's one account."""

    account_id: str
    key: str
    secret: str
    opened_at_ns: int


def credentials_match(credentials: Credentials, key: str, secret: str) -> bool:
    """Return whether key and secret are right, compared in constant time."""
    right_key = compare_digest(credentials.key.encode(), key.encode())
    return compare_digest(credentials.secret.encode(), secret.encode()) and right_key
