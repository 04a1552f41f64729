"""What must not be after a crash is found in the evidence, each flaw under its own name."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec.structs import replace as changed

from components.contracts.decisions import Decision, OrderEventApplied
from components.contracts.orders import (
    Filled,
    IntentReceived,
    Opening,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
    Source,
)
from components.contracts.values import ClientOrderId, ExecutionId, Place, Side
from components.xtrader.drills.verdict import PROOFS, Evidence, Flaw, VenueOrder, findings, holdings
from tests.support.messages import (
    ACCOUNT,
    AT_NS,
    CHECKED,
    CLIENT_ORDER_ID,
    FACTS,
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
        source=Source.REPLY,
        reason="",
        at_ns=AT_NS,
    )


ORDERS = (
    Opening(ACCOUNT, VENUE_ACCOUNT, (), AT_NS),
    IntentReceived(INTENT, TERMS, CLIENT_ORDER_ID, AT_NS),
    OrderSending(INTENT.intent_id, CLIENT_ORDER_ID, 0, AT_NS),
    FILL,
    updated(OrderState.FILLED),
)
DECISION = Decision(INTENT, (CHECKED,), FACTS, "limits-3", TERMS)


def applied(*events: OrderMessage) -> tuple[OrderEventApplied, ...]:
    return tuple(
        OrderEventApplied(Place("orders", "j", number), event, AT_NS) for number, event in enumerate(events, start=1)
    )


WHOLE = Evidence(
    listed=(VenueOrder(CLIENT_ORDER_ID, Decimal("2.5")),),
    venue_positions={"AAPL": "2.5"},
    orders=ORDERS,
    decisions=(DECISION, *applied(*ORDERS)),
)
NOTHING_LISTED = replace(WHOLE, listed=(), venue_positions={})


def heard(evidence: Evidence, *orders: OrderMessage) -> Evidence:
    """Both journals hold exactly these order records."""
    return replace(evidence, orders=orders, decisions=(DECISION, *applied(*orders)))


FLAWED: dict[str, tuple[Evidence, set[Flaw]]] = {
    "an order listed twice": (replace(WHOLE, listed=(*WHOLE.listed, *WHOLE.listed)), {Flaw.DOUBLED}),
    "one intent as two orders": (
        replace(WHOLE, listed=(*WHOLE.listed, VenueOrder(OTHER, Decimal(0)))),
        {Flaw.DOUBLED, Flaw.LOST},
    ),
    "an execution written twice": (
        heard(WHOLE, *ORDERS, FILL),
        {Flaw.DOUBLED, Flaw.POSITIONS},
    ),
    "a fill that the venue does not know": (
        heard(WHOLE, *ORDERS, changed(FILL, execution_id=ExecutionId("made up"))),
        {Flaw.DOUBLED, Flaw.POSITIONS},
    ),
    "a record that risk applied twice": (
        replace(WHOLE, decisions=(*WHOLE.decisions, WHOLE.decisions[3])),
        {Flaw.DOUBLED},
    ),
    "an order that was never written down": (
        heard(WHOLE, *(one for one in ORDERS if not isinstance(one, OrderSending))),
        {Flaw.LOST},
    ),
    "an order that vanished": (
        heard(NOTHING_LISTED, *(one for one in ORDERS if not isinstance(one, Filled | OrderUpdated))),
        {Flaw.LOST, Flaw.UNKNOWN},
    ),
    "a fill that was missed": (
        heard(WHOLE, *(one for one in ORDERS if not isinstance(one, Filled))),
        {Flaw.LOST, Flaw.POSITIONS},
    ),
    "an approval that nobody ended": (heard(NOTHING_LISTED, ORDERS[0]), {Flaw.LOST}),
    "a record that risk never applied": (
        replace(WHOLE, decisions=(*WHOLE.decisions[:3], *WHOLE.decisions[4:])),
        {Flaw.LOST},
    ),
    "an order of unknown outcome": (heard(WHOLE, *ORDERS, updated(OrderState.UNKNOWN)), {Flaw.UNKNOWN}),
    "an order without risk's yes": (replace(WHOLE, decisions=applied(*ORDERS)), {Flaw.UNAPPROVED}),
    "positions of another size": (replace(WHOLE, venue_positions={"AAPL": "3"}), {Flaw.POSITIONS}),
    "a position that risk does not see": (
        replace(WHOLE, decisions=(DECISION, *applied(*ORDERS[:3]))),
        {Flaw.POSITIONS},
    ),
}


def test_a_system_that_lost_nothing_shows_no_flaw() -> None:
    assert findings(WHOLE) == []


@pytest.mark.parametrize("name", FLAWED)
def test_each_flaw_is_found_and_named(name: str) -> None:
    evidence, flaws = FLAWED[name]
    assert {one.flaw for one in findings(evidence)} == flaws


@pytest.mark.parametrize("proof", [proof for _, proof in PROOFS], ids=lambda proof: proof.__name__)
def test_each_proof_fails_on_some_evidence(proof: Callable[[Evidence], Iterator[str]]) -> None:
    assert any(list(proof(evidence)) for evidence, _ in FLAWED.values())


@pytest.mark.parametrize("state", [OrderState.NEVER_LANDED, OrderState.REJECTED])
def test_an_order_that_rightly_never_reached_the_venue_is_not_lost(state: OrderState) -> None:
    assert findings(heard(NOTHING_LISTED, *ORDERS[:3], updated(state))) == []


def test_positions_begin_with_what_was_found_at_the_venue() -> None:
    sold = changed(FILL, side=Side.SELL, quantity=Decimal("1.50"))
    assert holdings(iter((*ORDERS, sold))) == {"AAPL": "1"}
