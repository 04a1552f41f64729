"""Staying logged in to Deribit: by key and secret at first, by what the venue gave then before that runs out."""

from typing import Final

from msgspec import Struct

from components.market_data.venues.deribit.subscribe import LOGIN_ID, REFRESH_ID, encode_call
from components.market_data.venues.keys import ApiCredentials

NS_PER_S: Final = 1_000_000_000
REFRESH_DIVISOR: Final = 3
"""After the third part of a grant's life it is renewed."""
REFRESH_WINDOW_HEARTBEATS: Final = 2
"""Renewals are said in answer to heartbeats, of which each connection hears its own within so many intervals."""


class TokenGrant(Struct, frozen=True, gc=False):
    """What a login gives."""

    refresh_token: str
    expires_in: int
    """Seconds."""


class Authenticator:
    """The words of logging in, and when they are due again."""

    def __init__(self, credentials: ApiCredentials, heartbeat_s: int) -> None:
        self._credentials = credentials
        self._window_ns = heartbeat_s * REFRESH_WINDOW_HEARTBEATS * NS_PER_S
        self._token = ""
        self._refresh_interval_ns = 0
        self._due_ns = 0

    def login_message(self, request_id: int = LOGIN_ID) -> str:
        """Log in by key and secret."""
        key, secret = self._credentials.reveal()
        return encode_call(
            "public/auth", request_id, grant_type="client_credentials", client_id=key, client_secret=secret
        )

    def on_grant(self, grant: TokenGrant, at_ns: int) -> None:
        """Keep what the next renewal needs."""
        self._token, self._refresh_interval_ns = grant.refresh_token, grant.expires_in * NS_PER_S // REFRESH_DIVISOR
        if not self._due_ns:
            self._due_ns = at_ns + self._refresh_interval_ns

    def refresh_message(self, at_ns: int) -> str | None:
        """Renew, where a connection is heard of while that is due; each has its own login, and none its own clock."""
        if not self._token or at_ns < self._due_ns:
            return None
        if at_ns >= self._due_ns + self._window_ns:
            self._due_ns = at_ns + self._refresh_interval_ns
            return None
        return encode_call("public/auth", REFRESH_ID, grant_type="refresh_token", refresh_token=self._token)
