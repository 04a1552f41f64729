"""HTTP client for Alpaca; classifies each failure by what is known about the request afterwards.

Each request is sent at most once and ends within a deadline.
"""

import asyncio
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from components.execution.config import AlpacaConfig
from components.execution.core.venue_messages import (
    DuplicateId,
    OrderNotFound,
    OutcomeUnknown,
    RequestFailure,
    RequestRejected,
    Throttled,
    Unauthorized,
    Unreachable,
)
from components.execution.venues.alpaca.schema import ErrorDocument, decode_document
from components.runtime.clock import NS_PER_S
from components.runtime.config.secrets import Secret

MS_PER_S: Final = 1_000
KEEPALIVE_S: Final = 90
"""How long an idle connection is kept: longer than the interval between reconciliations, which reuse it."""
THROTTLED_FOR_NS: Final = 1_000_000_000
"""Pause after a throttled response that names no time."""
THROTTLED_NS_MAX: Final = 60_000_000_000
TEXT_LENGTH_MAX: Final = 300
DUPLICATE_ID_TEXT: Final = "client_order_id must be unique"
NOT_FOUND_TEXT: Final = "order not found"
UNAUTHORIZED_TEXTS: Final = ("forbidden", "unauthorized", "not authorized")
NOT_SENT_ERRORS: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Raised before the first byte of a request is written; after any other failure it may have arrived."""
ErrorResponse = RequestFailure | DuplicateId | OrderNotFound


def classify_transport_error(error: httpx.TransportError) -> Unreachable | OutcomeUnknown:
    """Return whether a request was certainly not sent, or its outcome is unknown."""
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return Unreachable(reason) if isinstance(error, NOT_SENT_ERRORS) else OutcomeUnknown(reason)


def classify_response(response: httpx.Response, now_ns: int) -> ErrorResponse:
    """Classify an error response by its HTTP status first, then by its text, never by Alpaca's error code alone."""
    status, text = response.status_code, error_text(response)
    lowered = text.lower()
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return Throttled(retry_at_ns(response, now_ns), text)
    if not response.is_client_error or status == httpx.codes.REQUEST_TIMEOUT:
        return OutcomeUnknown(f"{status} {text}")
    if DUPLICATE_ID_TEXT in lowered:
        return DuplicateId(text)
    return _classify_client_error(status, text, lowered)


def error_text(response: httpx.Response) -> str:
    """Return Alpaca's error message, or the beginning of whatever a gateway sent."""
    error_document = decode_document(response.content, ErrorDocument)
    text = error_document.message if error_document is not None and error_document.message else response.text
    return " ".join(text.split())[:TEXT_LENGTH_MAX]


def retry_at_ns(response: httpx.Response, now_ns: int) -> int:
    """Return when the quota is restored, from Retry-After (seconds or a date) and X-RateLimit-Reset.

    The later of the two counts; it is never more than THROTTLED_NS_MAX from now.
    """
    waits = [_after_ns(response.headers.get("Retry-After", ""), now_ns), _reset_ns(response)]
    known = [at_ns for at_ns in waits if at_ns is not None and at_ns > now_ns]
    return min(max(known, default=now_ns + THROTTLED_FOR_NS), now_ns + THROTTLED_NS_MAX)


def _classify_client_error(status: int, text: str, lowered: str) -> ErrorResponse:
    is_about_keys = status == httpx.codes.FORBIDDEN and any(phrase in lowered for phrase in UNAUTHORIZED_TEXTS)
    if status == httpx.codes.UNAUTHORIZED or is_about_keys:
        return Unauthorized(f"{status} {text}")
    if status == httpx.codes.NOT_FOUND:
        # Only the venue's own text counts: a 404 of a gateway, or for a wrong path, proves nothing about an order.
        return OrderNotFound() if NOT_FOUND_TEXT in lowered else OutcomeUnknown(f"{status} {text}")
    return RequestRejected(status, text)


def _after_ns(text: str, now_ns: int) -> int | None:
    if text.isdecimal():
        return now_ns + int(text) * NS_PER_S
    try:
        return int(parsedate_to_datetime(text).timestamp()) * NS_PER_S
    except ValueError:
        return None


def _reset_ns(response: httpx.Response) -> int | None:
    text = response.headers.get("X-RateLimit-Reset", "")
    return int(text) * NS_PER_S if text.isdecimal() else None


class ApiKeys:
    """Key id and secret of an account."""

    __slots__ = ("key", "secret")

    def __init__(self, key: Secret, secret: Secret) -> None:
        """Store the resolved secrets."""
        self.key = key
        self.secret = secret


class HttpClient:
    """Sends requests to Alpaca; it retries nothing, follows no redirect and uses no proxy."""

    def __init__(self, config: AlpacaConfig, keys: ApiKeys) -> None:
        """Create the client; it connects when the first request is sent."""
        connect_s, reply_s = config.connect_timeout_ms / MS_PER_S, config.reply_timeout_ms / MS_PER_S
        self._deadline_s = connect_s + reply_s
        self._client = httpx.AsyncClient(
            base_url=config.trading_url,
            headers={
                "APCA-API-KEY-ID": keys.key.reveal().decode(),
                "APCA-API-SECRET-KEY": keys.secret.reveal().decode(),
                "User-Agent": "xtrader",
            },
            timeout=httpx.Timeout(reply_s, connect=connect_s, pool=connect_s),
            limits=httpx.Limits(
                max_connections=config.connections_max,
                max_keepalive_connections=config.connections_max,
                keepalive_expiry=KEEPALIVE_S,
            ),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> httpx.Response | Unreachable | OutcomeUnknown:
        """Send one request and return the response, or how the request failed if there is none."""
        headers = None if body is None else {"Content-Type": "application/json"}
        try:
            # The client's timeouts apply to each step; this one bounds the whole request against a server that
            # trickles.
            async with asyncio.timeout(self._deadline_s):
                return await self._client.request(method, path, params=query, content=body, headers=headers)
        except httpx.TransportError as error:
            return classify_transport_error(error)
        except httpx.DecodingError as error:
            return OutcomeUnknown(f"the response cannot be decoded: {error}")
        except TimeoutError:
            return OutcomeUnknown(f"no complete response within {self._deadline_s:g} s")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
