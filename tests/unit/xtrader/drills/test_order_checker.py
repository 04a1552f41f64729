"""Each violation is found in the evidence and reported under its own kind."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec.structs import replace as changed

from components.contracts.decisions import Decision, OrderEventApplied
from components.contracts.orders import (
    Filled,
    IntentReceived,
    OpeningBalance,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
    UpdateSource,
)
from components.contracts.values import ClientOrderId, ExecutionId, Side, StreamOffset
from components.xtrader.drills.order_checker import (
    CHECKS,
    Evidence,
    ListedOrder,
    Violation,
    find_violations,
    positions_from,
)
from tests.support.sample_messages import (
    ACCOUNT,
    AT_NS,
    CHECK_RESULT,
    CLIENT_ORDER_ID,
    DECISION_INPUTS,
    FILLED,
    INTENT,
    TERMS,
    VENUE_ACCOUNT,
    VENUE_ORDER_ID,
)

OTHER = ClientOrderId("demo-0a1b-7-1-1")
FILL = changed(FILLED, side=Side.BUY, quantity=Decimal("2.5"))


def updated(state: OrderState) -> OrderUpdated:
    return OrderUpdated(
        intent_id=INTENT.intent_id,
        client_order_id=CLIENT_ORDER_ID,
        venue_order_id=VENUE_ORDER_ID,
        symbol=INTENT.symbol,
        side=Side.BUY,
        quantity=Decimal("2.5"),
        filled_quantity=Decimal(0),
        average_price=None,
        state=state,
        source=UpdateSource.REPLY,
        reason="",
        at_ns=AT_NS,
    )


ORDERS = (
    OpeningBalance(ACCOUNT, VENUE_ACCOUNT, (), AT_NS),
    IntentReceived(INTENT, TERMS, CLIENT_ORDER_ID, AT_NS),
    OrderSending(INTENT.intent_id, CLIENT_ORDER_ID, 0, AT_NS),
    FILL,
    updated(OrderState.FILLED),
)
DECISION = Decision(INTENT, (CHECK_RESULT,), DECISION_INPUTS, "limits-3", TERMS)


def applied(*events: OrderMessage) -> tuple[OrderEventApplied, ...]:
    return tuple(
        OrderEventApplied(StreamOffset("orders", "j", number), event, AT_NS)
        for number, event in enumerate(events, start=1)
    )


WHOLE = Evidence(
    listed=(ListedOrder(CLIENT_ORDER_ID, Decimal("2.5")),),
    venue_positions={"AAPL": "2.5"},
    orders=ORDERS,
    decisions=(DECISION, *applied(*ORDERS)),
)
NOTHING_LISTED = replace(WHOLE, listed=(), venue_positions={})


def journaled(evidence: Evidence, *orders: OrderMessage) -> Evidence:
    """Both journals hold exactly these order records."""
    return replace(evidence, orders=orders, decisions=(DECISION, *applied(*orders)))


VIOLATED: dict[str, tuple[Evidence, set[Violation]]] = {
    "an order listed twice": (replace(WHOLE, listed=(*WHOLE.listed, *WHOLE.listed)), {Violation.DUPLICATED}),
    "one intent as two orders": (
        replace(WHOLE, listed=(*WHOLE.listed, ListedOrder(OTHER, Decimal(0)))),
        {Violation.DUPLICATED, Violation.LOST},
    ),
    "an execution journaled twice": (
        journaled(WHOLE, *ORDERS, FILL),
        {Violation.DUPLICATED, Violation.POSITIONS},
    ),
    "a fill unknown to the venue": (
        journaled(WHOLE, *ORDERS, changed(FILL, execution_id=ExecutionId("made up"))),
        {Violation.DUPLICATED, Violation.POSITIONS},
    ),
    "a record that risk applied twice": (
        replace(WHOLE, decisions=(*WHOLE.decisions, WHOLE.decisions[3])),
        {Violation.DUPLICATED},
    ),
    "an order that was never journaled": (
        journaled(WHOLE, *(one for one in ORDERS if not isinstance(one, OrderSending))),
        {Violation.LOST},
    ),
    "an order that vanished": (
        journaled(NOTHING_LISTED, *(one for one in ORDERS if not isinstance(one, Filled | OrderUpdated))),
        {Violation.LOST, Violation.UNKNOWN},
    ),
    "a fill that was missed": (
        journaled(WHOLE, *(one for one in ORDERS if not isinstance(one, Filled))),
        {Violation.LOST, Violation.POSITIONS},
    ),
    "an approval without outcome": (journaled(NOTHING_LISTED, ORDERS[0]), {Violation.LOST}),
    "a record that risk never applied": (
        replace(WHOLE, decisions=(*WHOLE.decisions[:3], *WHOLE.decisions[4:])),
        {Violation.LOST},
    ),
    "an order of unknown outcome": (journaled(WHOLE, *ORDERS, updated(OrderState.UNKNOWN)), {Violation.UNKNOWN}),
    "an order without an approval": (replace(WHOLE, decisions=applied(*ORDERS)), {Violation.UNAPPROVED}),
    "positions of another size": (replace(WHOLE, venue_positions={"AAPL": "3"}), {Violation.POSITIONS}),
    "a position that risk does not see": (
        replace(WHOLE, decisions=(DECISION, *applied(*ORDERS[:3]))),
        {Violation.POSITIONS},
    ),
}


def test_a_system_that_lost_nothing_has_no_violation() -> None:
    assert find_violations(WHOLE) == []


@pytest.mark.parametrize("name", VIOLATED)
def test_each_violation_is_found_and_named(name: str) -> None:
    evidence, violations = VIOLATED[name]
    assert {one.violation for one in find_violations(evidence)} == violations


@pytest.mark.parametrize("check", [check for _, check in CHECKS], ids=lambda check: check.__name__)
def test_each_check_fails_on_some_evidence(check: Callable[[Evidence], Iterator[str]]) -> None:
    assert any(list(check(evidence)) for evidence, _ in VIOLATED.values())


@pytest.mark.parametrize("state", [OrderState.NEVER_LANDED, OrderState.REJECTED])
def test_an_order_that_never_reached_the_venue_is_not_lost(state: OrderState) -> None:
    assert find_violations(journaled(NOTHING_LISTED, *ORDERS[:3], updated(state))) == []


def test_positions_start_with_the_opening_balance() -> None:
    sold = changed(FILL, side=Side.SELL, quantity=Decimal("1.50"))
    assert positions_from(iter((*ORDERS, sold))) == {"AAPL": "1"}
