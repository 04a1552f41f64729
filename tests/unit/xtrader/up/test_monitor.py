"""A run is counted from what both journals say."""

from decimal import Decimal

from components.contracts.orders import Filled, OrderSending, OrderState, OrderUpdated, UpdateSource
from components.contracts.values import ClientOrderId, ExecutionId, IntentId, Side, Symbol, VenueOrderId
from components.xtrader.tally import RunStatistics


def sending(name: str) -> OrderSending:
    return OrderSending(IntentId(name[:-2]), ClientOrderId(name), 0, 1)


def updated(name: str, state: OrderState) -> OrderUpdated:
    return OrderUpdated(
        IntentId(name[:-2]),
        ClientOrderId(name),
        VenueOrderId("v"),
        Symbol("AAPL"),
        Side.BUY,
        Decimal(1),
        Decimal(0),
        None,
        state,
        UpdateSource.STREAM,
        "",
        2,
    )


def filled(name: str, at_ns: int) -> Filled:
    return Filled(
        ExecutionId("e"),
        IntentId(name[:-2]),
        ClientOrderId(name),
        VenueOrderId("v"),
        Symbol("AAPL"),
        Side.BUY,
        Decimal(1),
        Decimal(100),
        Decimal(1),
        UpdateSource.STREAM,
        at_ns,
        at_ns,
    )


def test_an_order_counts_once_and_as_what_became_of_it() -> None:
    tally = RunStatistics()
    for event in (
        sending("a-0-0"),
        sending("a-0-0"),
        updated("a-0-0", OrderState.UNKNOWN),
        updated("a-0-0", OrderState.FILLED),
        sending("b-0-0"),
        updated("b-0-0", OrderState.UNKNOWN),
        sending("c-0-0"),
        updated("c-0-0", OrderState.REJECTED),
    ):
        tally.count_order_event(event)
    assert tally.order_counts() == {"submitted": 3, "filled": 1, "rejected": 1, "unknown": 1}


def test_the_first_fill_is_kept() -> None:
    tally = RunStatistics()
    tally.count_order_event(filled("a-0-0", 5))
    tally.count_order_event(filled("b-0-0", 6))
    assert tally.fills == 2
    assert tally.first_fill is not None
    assert tally.first_fill.at_ns == 5
