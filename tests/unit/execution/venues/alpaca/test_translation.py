"""Every documented status and event of Alpaca is known, and no number changes its value."""

import json
from decimal import Decimal

import msgspec
import pytest

from components.contracts.orders import OrderState
from components.contracts.values import OrderType, Side
from components.execution.core.order import VENUE_STATES
from components.execution.core.venue_messages import (
    EventKind,
)
from components.execution.venues.alpaca.schema import OrderDocument, PositionDocument, TradeUpdateDocument
from components.execution.venues.alpaca.translation import (
    KIND_BY_EVENT,
    STATE_BY_STATUS,
    encode_order,
    format_timestamp,
    parse_event,
    parse_order,
    parse_order_with_legs,
    parse_position,
    parse_timestamp,
)
from tests.support.execution_harness import client_id, intent

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
EVENT_NAMES = {
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


def order(**changes: object) -> OrderDocument:
    return msgspec.json.decode(json.dumps(json.loads(ORDER) | changes), type=OrderDocument)


def test_every_documented_status_is_known() -> None:
    assert set(STATE_BY_STATUS) == STATUSES
    assert set(STATE_BY_STATUS.values()) == VENUE_STATES


def test_every_documented_event_is_known() -> None:
    assert set(KIND_BY_EVENT) == EVENT_NAMES


def test_an_order_is_encoded_with_decimal_strings() -> None:
    wanted = intent(quantity=Decimal("0.3"), limit_price=Decimal("1E+2"))
    assert json.loads(encode_order(client_id(), wanted)) == {
        "symbol": "AAPL",
        "qty": "0.3",
        "side": "buy",
        "type": "limit",
        "time_in_force": "day",
        "client_order_id": client_id(),
        "limit_price": "100",
    }


def test_a_market_order_carries_no_limit() -> None:
    wanted = intent(order_type=OrderType.MARKET, limit_price=None)
    assert "limit_price" not in json.loads(encode_order(client_id(), wanted))


def test_an_order_is_decoded_and_unknown_fields_are_ignored() -> None:
    found = parse_order(order())
    assert (found.side, found.quantity, found.filled_quantity) == (Side.BUY, Decimal(10), Decimal(3))
    assert (found.limit_price, found.average_price) == (Decimal(150), Decimal("149.98"))
    assert found.state is OrderState.PARTIALLY_FILLED


def test_numbers_may_come_as_numbers_and_optional_ones_may_be_missing() -> None:
    found = parse_order(order(qty=None, filled_qty=None, filled_avg_price=None, limit_price=150.25))
    assert (found.quantity, found.filled_quantity, found.limit_price) == (Decimal(0), Decimal(0), Decimal("150.25"))


def test_an_unknown_status_has_no_state() -> None:
    assert parse_order(order(status="pending_moon")).state is None


@pytest.mark.parametrize(
    "changes", [{"side": "both"}, {"qty": "NaN"}, {"filled_qty": "-1"}, {"limit_price": "Infinity"}]
)
def test_an_invalid_order_is_rejected(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="order 61e69015"):
        parse_order(order(**changes))


def test_the_legs_of_an_order_are_orders() -> None:
    leg = json.loads(ORDER) | {"id": "leg", "status": "held"}
    assert [found.venue_order_id for found in parse_order_with_legs(order(legs=[leg]))][1] == "leg"


def test_an_event_is_one_execution_with_the_orders_total() -> None:
    facts = '"event":"partial_fill","execution_id":"x-1","price":"149.98","qty":"3"'
    text = f'{{{facts},"timestamp":"2026-11-20T14:31:24.700123456Z","order":{ORDER}}}'
    found = parse_event(msgspec.json.decode(text, type=TradeUpdateDocument))
    assert found.kind is EventKind.EXECUTION
    assert found.execution is not None
    assert found.execution.cumulative_quantity == 3
    assert found.execution.venue_at_ns % 1_000_000_000 == 700_123_456


def test_an_execution_without_an_id_gets_an_inferred_id() -> None:
    text = f'{{"event":"fill","price":"149.98","qty":"3","order":{ORDER}}}'
    found = parse_event(msgspec.json.decode(text, type=TradeUpdateDocument)).execution
    assert found is not None
    assert found.execution_id == "61e69015-8549-4bfd-b9c3-01e75843f47d:3"


def test_an_unknown_event_type_keeps_its_order() -> None:
    found = parse_event(msgspec.json.decode(f'{{"event":"invented","order":{ORDER}}}', type=TradeUpdateDocument))
    assert found.kind is None
    assert found.order.venue_order_id == "61e69015-8549-4bfd-b9c3-01e75843f47d"


def test_a_short_position_is_negative_however_it_is_written() -> None:
    for text in ("-2", "2"):
        document = PositionDocument(symbol="AAPL", qty=Decimal(text), side="short")
        assert parse_position(document).quantity == -2


@pytest.mark.parametrize(
    ("text", "at_ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2026-11-20T09:31:24.70012345-05:00", 1_795_185_084_700_123_450),
        ("2026-11-20T14:31:24.700123Z", 1_795_185_084_700_123_000),
    ],
)
def test_a_timestamp_is_parsed_to_the_nanosecond(text: str, at_ns: int) -> None:
    assert parse_timestamp(text) == at_ns
    assert parse_timestamp(format_timestamp(at_ns)) == at_ns


def test_an_invalid_timestamp_is_rejected() -> None:
    with pytest.raises(ValueError, match="is not a timestamp"):
        parse_timestamp("yesterday")
