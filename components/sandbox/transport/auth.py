from hmac import compare_digest

from msgspec import Struct


class Credentials(Struct, frozen=True, kw_only=True):
    """The one account of this venue with its keys."""

    account_id: str
    key: str
    secret: str
    opened_at_ns: int


def credentials_match(credentials: Credentials, key: str, secret: str) -> bool:
    """Compare keys without telling by the time it takes how much of them was right."""
    right_key = compare_digest(credentials.key.encode(), key.encode())
    return compare_digest(credentials.secret.encode(), secret.encode()) and right_key
