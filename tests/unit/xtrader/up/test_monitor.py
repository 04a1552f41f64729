"""A run is counted from what both journals say.

A component's metrics page is read as it was written.
"""

from decimal import Decimal

import pytest

from components.contracts.orders import Filled, OrderSending, OrderState, OrderUpdated, UpdateSource
from components.contracts.values import ClientOrderId, ExecutionId, IntentId, Side, Symbol, VenueOrderId
from components.xtrader.up.monitor import Histogram, RunStatistics, histogram_of, parse_metrics, sum_samples


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


PAGE = """# HELP xtrader_bus_gaps_total lost
# TYPE xtrader_bus_gaps_total counter
xtrader_bus_gaps_total{stream="market"} 2.0
xtrader_bus_gaps_total{stream="or\\"ders"} 1.0
xtrader_hop_seconds_bucket{le="0.001"} 2.0
xtrader_hop_seconds_bucket{le="0.002"} 4.0
xtrader_hop_seconds_bucket{le="+Inf"} 4.0
xtrader_hop_seconds_sum 0.005
xtrader_up 1.0
"""


def test_a_counter_is_added_over_its_labels() -> None:
    assert sum_samples(parse_metrics(PAGE), "xtrader_bus_gaps_total") == 3


def test_a_sample_without_labels_is_read() -> None:
    assert sum_samples(parse_metrics(PAGE), "xtrader_up") == 1


def test_a_quantile_is_linear_inside_its_bucket() -> None:
    assert histogram_of(parse_metrics(PAGE), "xtrader_hop_seconds").quantile(0.75) == pytest.approx(0.0015)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert Histogram({0.001: 1.0, float("inf"): 10.0}).quantile(0.99) == pytest.approx(0.001)


def test_nothing_counted_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None
