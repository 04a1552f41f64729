"""Every documented error response and transport error is classified."""

import inspect

import httpx
import pytest

from components.execution.core.venue_messages import (
    DuplicateId,
    OrderNotFound,
    OutcomeUnknown,
    RequestRejected,
    Throttled,
    Unauthorized,
    Unreachable,
)
from components.execution.venues.alpaca.http_client import (
    NOT_SENT_ERRORS,
    THROTTLED_NS_MAX,
    classify_response,
    classify_transport_error,
)
from tests.support.execution_harness import START_NS

ERRORS = [
    (401, "unauthorized.", Unauthorized),
    (403, "forbidden.", Unauthorized),
    (401, "request is not authorized", Unauthorized),
    (403, "request is not authorized", Unauthorized),
    (422, "client_order_id must be unique", DuplicateId),
    (409, "client_order_id must be unique", DuplicateId),
    (422, "client_order_id must be no more than 128 characters", RequestRejected),
    (422, "qty or notional is required", RequestRejected),
    (422, "only one of qty or notional is accepted", RequestRejected),
    (422, "limit price must be > 0", RequestRejected),
    (422, "invalid side", RequestRejected),
    (422, "market orders require no stop or limit price", RequestRejected),
    (422, "order_id is missing", RequestRejected),
    (422, 'asset "X" not found', RequestRejected),
    (422, 'asset "X" is not tradable', RequestRejected),
    (422, 'order is already in "filled" state', RequestRejected),
    (422, "fractional orders must be DAY orders", RequestRejected),
    (422, "sub-penny increment does not fulfill minimum pricing criteria", RequestRejected),
    (422, 'asset "X" cannot be sold short', RequestRejected),
    (403, "insufficient buying power", RequestRejected),
    (403, "insufficient qty available for order (requested: 23, available: 0)", RequestRejected),
    (403, "potential wash trade detected. use complex orders", RequestRejected),
    (403, "cannot open a long buy while a short sell order is open", RequestRejected),
    (403, "account is not allowed to short", RequestRejected),
    (403, "opg orders must be submitted after 7:00pm and before 9:28am", RequestRejected),
    (403, "trade denied due to pattern day trading protection", RequestRejected),
    (404, "order not found for 61e69015", OrderNotFound),
    (404, "order not found", OrderNotFound),
    (404, "endpoint not found", OutcomeUnknown),
    (404, "<html>nginx</html>", OutcomeUnknown),
    (408, "request timeout", OutcomeUnknown),
    (429, "rate limit exceeded", Throttled),
    (429, "too many requests.", Throttled),
    (500, "internal server error occurred", OutcomeUnknown),
    (502, "<html>bad gateway</html>", OutcomeUnknown),
    (503, "service unavailable", OutcomeUnknown),
    (504, "gateway timeout", OutcomeUnknown),
    (302, "elsewhere", OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "text", "kind"), ERRORS)
def test_every_documented_error_is_classified(status: int, text: str, kind: type) -> None:
    as_json = httpx.Response(status, json={"code": 40010001, "message": text})
    as_text = httpx.Response(status, text=text)
    assert type(classify_response(as_json, START_NS)) is kind
    assert type(classify_response(as_text, START_NS)) is kind


def test_every_transport_error_is_classified_and_only_some_were_certainly_not_sent() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(httpx, inspect.isclass)
        if issubclass(kind, httpx.TransportError) and kind is not httpx.TransportError
    ]
    never_left = {kind.__name__ for kind in kinds if isinstance(classify_transport_error(kind("")), Unreachable)}
    assert never_left == {kind.__name__ for kind in NOT_SENT_ERRORS}
    assert never_left == {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"}
    assert isinstance(classify_transport_error(httpx.ReadTimeout("")), OutcomeUnknown)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, 1),
        ({"Retry-After": "3"}, 3),
        ({"X-RateLimit-Reset": str(START_NS // 1_000_000_000 + 7)}, 7),
        ({"X-RateLimit-Reset": "soon", "Retry-After": "later"}, 1),
        ({"Retry-After": "999999"}, THROTTLED_NS_MAX // 1_000_000_000),
    ],
)
def test_a_throttled_response_yields_the_time_to_retry(headers: dict[str, str], wait_s: int) -> None:
    found = classify_response(httpx.Response(429, headers=headers), START_NS)
    assert isinstance(found, Throttled)
    assert found.retry_at_ns == START_NS + wait_s * 1_000_000_000
