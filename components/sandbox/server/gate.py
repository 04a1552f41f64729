"""What every trading request passes first: keys, the request limit, and the faults that are switched on."""

import asyncio
from collections.abc import Callable

from aiohttp import BasicAuth, web
from aiohttp.typedefs import Handler, Middleware

from components.sandbox.core.faults import FaultKind, Faults
from components.sandbox.core.limits import RateLimit
from components.sandbox.core.refusals import ENDPOINT_NOT_FOUND, RATE_LIMITED, UNAUTHORIZED, Refusal
from components.sandbox.server.replies import Refused, refuse
from components.sandbox.server.store import Credentials
from components.sandbox.server.updates import matches

DATA_PREFIX = "/v2/stocks"
CRYPTO_PATH = "/v1beta3/crypto/us"  # its stream; what is below it needs no keys
SOCKETS = frozenset({"/stream", "/v2/iex", "/v2/sip", "/v2/test", CRYPTO_PATH})
GATEWAY_PAGE = "<html><body><h1>{status}</h1></body></html>\n"


def make_gate(credentials: Credentials, per_minute: int, faults: Faults, now_ns: Callable[[], int]) -> Middleware:
    """Build the gate of one venue; trading and market data are counted apart, as on two hosts."""
    trading, data = RateLimit(per_minute), RateLimit(per_minute)

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in SOCKETS:
            return await handler(request)
        is_public = request.path.startswith(f"{CRYPTO_PATH}/")
        if not is_public and not _is_known(credentials, request):
            return refuse(UNAUTHORIZED)
        limit = data if is_public or request.path.startswith(DATA_PREFIX) else trading
        allowed = limit.take(now_ns())
        response = await _answer(request, handler, faults) if allowed else refuse(RATE_LIMITED)
        response.headers.update(limit.headers())
        return response

    return gate


def _is_known(credentials: Credentials, request: web.Request) -> bool:
    if (basic := _basic(request.headers.get("Authorization", ""))) is not None:
        return matches(credentials, basic.login, basic.password)
    key, secret = request.headers.get("APCA-API-KEY-ID", ""), request.headers.get("APCA-API-SECRET-KEY", "")
    return matches(credentials, key, secret)


def _basic(header: str) -> BasicAuth | None:
    """Read keys from an Authorization header, which some clients send in place of the venue's own two."""
    try:
        return BasicAuth.decode(header) if header.startswith("Basic ") else None
    except ValueError:
        return None


async def _answer(request: web.Request, handler: Handler, faults: Faults) -> web.StreamResponse:
    method, path = request.method, request.path
    if fault := faults.strike_request(FaultKind.ANSWER, method, path):
        return _misanswer(fault.status)
    response = await _carry_out(request, handler)
    if fault := faults.strike_request(FaultKind.ACCEPT_THEN_DELAY, method, path):
        await asyncio.sleep(fault.ms / 1000)
    if faults.strike_request(FaultKind.ACCEPT_THEN_504, method, path):
        return _misanswer(504)
    if faults.strike_request(FaultKind.ACCEPT_THEN_DROP, method, path) and request.transport is not None:
        request.transport.abort()
    return response


async def _carry_out(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return refuse(refused.refusal)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return refuse(ENDPOINT_NOT_FOUND)


def _misanswer(status: int) -> web.Response:
    match status:
        case 401:
            return refuse(UNAUTHORIZED)
        case 429:
            return refuse(RATE_LIMITED)
        case 500:
            return refuse(Refusal(500, 50010000, "internal server error occurred"))
        case _:
            # Gateways speak HTML, and so does a failing venue: no client may count on JSON.
            return web.Response(text=GATEWAY_PAGE.format(status=status), status=status, content_type="text/html")
