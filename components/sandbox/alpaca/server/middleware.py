"""Middleware of the REST API: authentication, rate limits, armed faults, error responses."""

import asyncio
from collections.abc import Callable

from aiohttp import BasicAuth, web
from aiohttp.typedefs import Handler, Middleware

from components.sandbox.alpaca.core.errors import (
    BODY_MALFORMED,
    ENDPOINT_NOT_FOUND,
    RATE_LIMITED,
    UNAUTHORIZED,
    ApiError,
    ApiErrorRaised,
    invalid_request,
)
from components.sandbox.transport.auth import Credentials, credentials_match
from components.sandbox.transport.faults import AlpacaFaultKind, AlpacaFaultSwitches
from components.sandbox.transport.http_server import AdminError, RequestError, json_response
from components.sandbox.transport.rate_limits import FixedWindowLimit

DATA_PREFIX = "/v2/stocks"
CRYPTO_PATH = "/v1beta3/crypto/us"  # the websocket; the REST paths below it need no authentication
WEBSOCKET_PATHS = frozenset({"/stream", "/v2/iex", "/v2/sip", "/v2/test", CRYPTO_PATH})
GATEWAY_ERROR_PAGE = "<html><body><h1>{status}</h1></body></html>\n"


def auth_middleware(
    credentials: Credentials, per_minute: int, faults: AlpacaFaultSwitches, now_ns: Callable[[], int]
) -> Middleware:
    """Return the middleware of the trading port; trading and market data have separate rate limits, as on two hosts."""
    trading, data = FixedWindowLimit(per_minute), FixedWindowLimit(per_minute)

    @web.middleware
    async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in WEBSOCKET_PATHS:
            return await handler(request)
        is_public = request.path.startswith(f"{CRYPTO_PATH}/")
        if not is_public and not _is_authenticated(credentials, request):
            return error_response(UNAUTHORIZED)
        limit = data if is_public or request.path.startswith(DATA_PREFIX) else trading
        allowed = limit.try_acquire(now_ns())
        response = await _respond_with_faults(request, handler, faults) if allowed else error_response(RATE_LIMITED)
        response.headers.update(limit.headers())
        return response

    return authenticate


def _is_authenticated(credentials: Credentials, request: web.Request) -> bool:
    if (basic := _basic_auth(request.headers.get("Authorization", ""))) is not None:
        return credentials_match(credentials, basic.login, basic.password)
    key, secret = request.headers.get("APCA-API-KEY-ID", ""), request.headers.get("APCA-API-SECRET-KEY", "")
    return credentials_match(credentials, key, secret)


def _basic_auth(header: str) -> BasicAuth | None:
    """Return the credentials of an Authorization header, which some clients send in place of Alpaca's own headers."""
    try:
        return BasicAuth.decode(header) if header.startswith("Basic ") else None
    except ValueError:
        return None


async def _respond_with_faults(
    request: web.Request, handler: Handler, faults: AlpacaFaultSwitches
) -> web.StreamResponse:
    method, path = request.method, request.path
    if fault := faults.trigger_request(AlpacaFaultKind.ANSWER, method, path):
        return _fault_response(fault.status)
    response = await _call_handler(request, handler)
    if fault := faults.trigger_request(AlpacaFaultKind.ACCEPT_THEN_DELAY, method, path):
        await asyncio.sleep(fault.ms / 1000)
    if faults.trigger_request(AlpacaFaultKind.ACCEPT_THEN_504, method, path):
        return _fault_response(504)
    if faults.trigger_request(AlpacaFaultKind.ACCEPT_THEN_DROP, method, path) and request.transport is not None:
        request.transport.abort()
    return response


async def _call_handler(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await error_middleware(request, handler)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return error_response(ENDPOINT_NOT_FOUND)


def _fault_response(status: int) -> web.Response:
    match status:
        case 401:
            return error_response(UNAUTHORIZED)
        case 429:
            return error_response(RATE_LIMITED)
        case 500:
            return error_response(ApiError(500, 50010000, "internal server error occurred"))
        case _:
            # Gateways answer in HTML, and so does a failing venue: clients must not count on JSON.
            return web.Response(text=GATEWAY_ERROR_PAGE.format(status=status), status=status, content_type="text/html")


def error_response(error: ApiError) -> web.Response:
    """Return the response for an API error."""
    return json_response(error.body(), error.status)


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Convert raised API errors to responses."""
    try:
        return await handler(request)
    except ApiErrorRaised as raised:
        return error_response(raised.error)
    except RequestError as error:
        return error_response(invalid_request(str(error)) if error.is_json else BODY_MALFORMED)
    except AdminError as error:
        return error_response(invalid_request(str(error)))
