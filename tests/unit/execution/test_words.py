"""Claims about Alpaca's words: every documented one is known, every documented refusal sorted, no number bent."""

import inspect
import json
from decimal import Decimal

import httpx
import msgspec
import pytest

from components.contracts.orders import OrderState
from components.contracts.values import OrderType, Side
from components.execution.core.orders import AT_THE_VENUE, NEXT, heard, may_follow
from components.execution.core.venue import (
    DuplicateId,
    EventKind,
    NotProcessed,
    OrderMissing,
    OrderRefused,
    OutcomeUnknown,
    Unauthorized,
    Unreachable,
    UnreadableEvent,
)
from components.execution.venues.alpaca.documents import OrderDocument, PositionDocument, UpdateDocument
from components.execution.venues.alpaca.failures import NEVER_LEFT, THROTTLED_NS_MAX, of_response, of_transport
from components.execution.venues.alpaca.stream import deliver_frame
from components.execution.venues.alpaca.words import (
    EVENTS,
    STATES,
    event_of,
    instant,
    nanoseconds,
    order_body,
    order_of,
    orders_of,
    position_of,
)
from tests.unit.execution.scene import START_NS, intent, name_of

STATUSES = {
    "new",
    "partially_filled",
    "filled",
    "done_for_day",
    "canceled",
    "expired",
    "replaced",
    "pending_cancel",
    "pending_replace",
    "pending_review",
    "accepted",
    "pending_new",
    "accepted_for_bidding",
    "stopped",
    "rejected",
    "suspended",
    "calculated",
    "held",
}
EVENT_WORDS = {
    "pending_new",
    "accepted",
    "new",
    "partial_fill",
    "fill",
    "canceled",
    "expired",
    "rejected",
    "done_for_day",
    "calculated",
    "stopped",
    "suspended",
    "pending_review",
    "restated",
    "held",
    "pending_cancel",
    "pending_replace",
    "replaced",
    "order_cancel_rejected",
    "order_replace_rejected",
}
ORDER = json.dumps(
    {
        "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
        "client_order_id": "s1-20261120-000017",
        "symbol": "AAPL",
        "asset_class": "us_equity",
        "notional": None,
        "qty": "10",
        "filled_qty": "3",
        "filled_avg_price": "149.98",
        "order_class": "",
        "type": "limit",
        "side": "buy",
        "time_in_force": "day",
        "limit_price": "150",
        "status": "partially_filled",
        "legs": None,
        "something_new": {"deep": [1, 2, None]},
    }
)
REFUSALS = [
    (401, "unauthorized.", Unauthorized),
    (403, "forbidden.", Unauthorized),
    (401, "request is not authorized", Unauthorized),
    (403, "request is not authorized", Unauthorized),
    (422, "client_order_id must be unique", DuplicateId),
    (409, "client_order_id must be unique", DuplicateId),
    (422, "client_order_id must be no more than 128 characters", OrderRefused),
    (422, "qty or notional is required", OrderRefused),
    (422, "only one of qty or notional is accepted", OrderRefused),
    (422, "limit price must be > 0", OrderRefused),
    (422, "invalid side", OrderRefused),
    (422, "market orders require no stop or limit price", OrderRefused),
    (422, "order_id is missing", OrderRefused),
    (422, 'asset "X" not found', OrderRefused),
    (422, 'asset "X" is not tradable', OrderRefused),
    (422, 'order is already in "filled" state', OrderRefused),
    (422, "fractional orders must be DAY orders", OrderRefused),
    (422, "sub-penny increment does not fulfill minimum pricing criteria", OrderRefused),
    (422, 'asset "X" cannot be sold short', OrderRefused),
    (403, "insufficient buying power", OrderRefused),
    (403, "insufficient qty available for order (requested: 23, available: 0)", OrderRefused),
    (403, "potential wash trade detected. use complex orders", OrderRefused),
    (403, "cannot open a long buy while a short sell order is open", OrderRefused),
    (403, "account is not allowed to short", OrderRefused),
    (403, "opg orders must be submitted after 7:00pm and before 9:28am", OrderRefused),
    (403, "trade denied due to pattern day trading protection", OrderRefused),
    (404, "order not found for 61e69015", OrderMissing),
    (404, "order not found", OrderMissing),
    (404, "endpoint not found", OutcomeUnknown),
    (404, "<html>nginx</html>", OutcomeUnknown),
    (408, "request timeout", OutcomeUnknown),
    (429, "rate limit exceeded", NotProcessed),
    (429, "too many requests.", NotProcessed),
    (500, "internal server error occurred", OutcomeUnknown),
    (502, "<html>bad gateway</html>", OutcomeUnknown),
    (503, "service unavailable", OutcomeUnknown),
    (504, "gateway timeout", OutcomeUnknown),
    (302, "elsewhere", OutcomeUnknown),
]


def order(**changes: object) -> OrderDocument:
    return msgspec.json.decode(json.dumps(json.loads(ORDER) | changes), type=OrderDocument)


def test_every_documented_status_is_known() -> None:
    assert set(STATES) == STATUSES
    assert set(STATES.values()) == AT_THE_VENUE


def test_every_documented_event_is_known() -> None:
    assert set(EVENTS) == EVENT_WORDS


@pytest.mark.parametrize(("status", "text", "kind"), REFUSALS)
def test_every_documented_refusal_is_sorted(status: int, text: str, kind: type) -> None:
    as_json = httpx.Response(status, json={"code": 40010001, "message": text})
    as_text = httpx.Response(status, text=text)
    assert type(of_response(as_json, START_NS)) is kind
    assert type(of_response(as_text, START_NS)) is kind


def test_every_way_a_request_can_fail_is_sorted_and_only_some_certainly_never_left() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(httpx, inspect.isclass)
        if issubclass(kind, httpx.TransportError) and kind is not httpx.TransportError
    ]
    never_left = {kind.__name__ for kind in kinds if isinstance(of_transport(kind("")), Unreachable)}
    assert never_left == {kind.__name__ for kind in NEVER_LEFT}
    assert never_left == {"ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol"}
    assert isinstance(of_transport(httpx.ReadTimeout("")), OutcomeUnknown)


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
def test_a_throttled_request_knows_when_to_come_again(headers: dict[str, str], wait_s: int) -> None:
    found = of_response(httpx.Response(429, headers=headers), START_NS)
    assert isinstance(found, NotProcessed)
    assert found.retry_at_ns == START_NS + wait_s * 1_000_000_000


def test_the_table_of_states_is_complete_and_nothing_leaves_a_final_state() -> None:
    assert set(NEXT) == set(OrderState)
    for before in OrderState:
        assert bool(NEXT[before]) is not before.is_final
        for after in OrderState:
            assert may_follow(before, after) is (after is before or after in NEXT[before])


@pytest.mark.parametrize("before", list(OrderState))
@pytest.mark.parametrize("said", sorted(AT_THE_VENUE))
def test_whatever_the_venue_says_keeps_to_the_table(before: OrderState, said: OrderState) -> None:
    after = heard(before, said, Decimal(0))
    assert may_follow(before, after)
    if before.is_final:
        assert after is before


def test_an_order_is_written_with_decimal_texts() -> None:
    wanted = intent(quantity=Decimal("0.3"), limit_price=Decimal("1E+2"))
    assert json.loads(order_body(name_of(), wanted)) == {
        "symbol": "AAPL",
        "qty": "0.3",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": name_of(),
        "limit_price": "100",
    }


def test_a_market_order_carries_no_limit() -> None:
    wanted = intent(order_type=OrderType.MARKET, limit_price=None)
    assert "limit_price" not in json.loads(order_body(name_of(), wanted))


def test_an_order_is_read_with_what_it_holds_and_what_we_do_not_know_is_passed_over() -> None:
    found = order_of(order())
    assert (found.side, found.quantity, found.filled_quantity) == (Side.BUY, Decimal(10), Decimal(3))
    assert (found.limit_price, found.average_price) == (Decimal(150), Decimal("149.98"))
    assert found.state is OrderState.PARTIALLY_FILLED


def test_numbers_may_come_as_numbers_and_optional_ones_may_be_missing() -> None:
    found = order_of(order(qty=None, filled_qty=None, filled_avg_price=None, limit_price=150.25))
    assert (found.quantity, found.filled_quantity, found.limit_price) == (Decimal(0), Decimal(0), Decimal("150.25"))


def test_a_status_new_to_us_has_no_state() -> None:
    assert order_of(order(status="pending_moon")).state is None


@pytest.mark.parametrize(
    "changes", [{"side": "both"}, {"qty": "NaN"}, {"filled_qty": "-1"}, {"limit_price": "Infinity"}]
)
def test_an_order_that_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="order 61e69015"):
        order_of(order(**changes))


def test_the_legs_of_an_order_are_orders() -> None:
    leg = json.loads(ORDER) | {"id": "leg", "status": "held"}
    assert [found.venue_order_id for found in orders_of(order(legs=[leg]))][1] == "leg"


def test_an_event_is_one_execution_with_the_orders_total() -> None:
    facts = '"event":"partial_fill","execution_id":"x-1","price":"149.98","qty":"3"'
    text = f'{{{facts},"timestamp":"2026-11-20T14:31:24.700123456Z","order":{ORDER}}}'
    found = event_of(msgspec.json.decode(text, type=UpdateDocument))
    assert found.kind is EventKind.EXECUTION
    assert found.execution is not None
    assert found.execution.cumulative_quantity == 3
    assert found.execution.venue_at_ns % 1_000_000_000 == 700_123_456


def test_an_execution_without_an_id_gets_ours() -> None:
    text = f'{{"event":"fill","price":"149.98","qty":"3","order":{ORDER}}}'
    found = event_of(msgspec.json.decode(text, type=UpdateDocument)).execution
    assert found is not None
    assert found.execution_id == "61e69015-8549-4bfd-b9c3-01e75843f47d:3"


def test_an_event_new_to_us_keeps_its_order() -> None:
    found = event_of(msgspec.json.decode(f'{{"event":"invented","order":{ORDER}}}', type=UpdateDocument))
    assert found.kind is None
    assert found.order.venue_order_id == "61e69015-8549-4bfd-b9c3-01e75843f47d"


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xfe",
        b"[1]",
        b'{"stream":"trade_updates"}',
        b'{"stream":"trade_updates","data":{"event":"new"}}',
        b'{"stream":"trade_updates","data":{"event":"new","order":{"id":"x","client_order_id":"y","symbol":"A","side":"?","status":"new"}}}',
    ],
)
def test_a_frame_that_cannot_be_read_is_told_never_dropped(frame: bytes) -> None:
    told: list[object] = []
    deliver_frame(frame, told.append)
    assert isinstance(told[0], UnreadableEvent)


def test_another_stream_is_not_an_event() -> None:
    told: list[object] = []
    deliver_frame(b'{"stream":"listening","data":{"streams":["trade_updates"]}}', told.append)
    assert not told


def test_a_short_position_is_negative_however_it_is_written() -> None:
    for text in ("-2", "2"):
        document = PositionDocument(symbol="AAPL", qty=Decimal(text), side="short")
        assert position_of(document).quantity == -2


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2026-11-20T09:31:24.70012345-05:00", 1_795_185_084_700_123_450),
        ("2026-11-20T14:31:24.700123Z", 1_795_185_084_700_123_000),
    ],
)
def test_an_instant_is_read_to_the_nanosecond(text: str, at_ns: int) -> None:
    assert nanoseconds(text) == at_ns
    assert nanoseconds(instant(at_ns)) == at_ns


def test_what_is_no_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="no instant"):
        nanoseconds("yesterday")
