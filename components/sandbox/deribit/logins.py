"""Logins at Deribit: by key and secret, by a token that refreshes, by a token that was given before."""

import hmac
import secrets
from collections.abc import Mapping

from components.sandbox.deribit.refusals import INVALID_CREDENTIALS, RpcError, invalid_params
from components.sandbox.server.store import Credentials

EXPIRES_S = 900
Document = dict[str, object]


class TokenIssuer:
    """The tokens that were given out; those of one run are few."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._access: set[str] = set()
        self._refresh: set[str] = set()

    def authenticate(self, params: Mapping[str, object]) -> Document | RpcError:
        """Give tokens to whoever proves who they are."""
        match params.get("grant_type"):
            case "client_credentials":
                is_known = self._matches(str(params.get("client_id", "")), str(params.get("client_secret", "")))
            case "refresh_token":
                is_known = params.get("refresh_token") in self._refresh
            case _:
                return invalid_params("grant_type", "must be client_credentials or refresh_token")
        return self._tokens() if is_known else INVALID_CREDENTIALS

    def is_valid_token(self, token: object) -> bool:
        """Tell whether a token was given out."""
        return token in self._access

    def _matches(self, key: str, secret: str) -> bool:
        same_key = hmac.compare_digest(key.encode(), self._credentials.key.encode())
        return hmac.compare_digest(secret.encode(), self._credentials.secret.encode()) and same_key

    def _tokens(self) -> Document:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._access.add(access)
        self._refresh.add(refresh)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": EXPIRES_S,
            "scope": "connection mainaccount trade:read",
            "token_type": "bearer",
        }
