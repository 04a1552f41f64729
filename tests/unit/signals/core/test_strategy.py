"""What is proposed, at which price, and what never is."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from components.contracts.market import Quote
from components.contracts.signals import Purpose
from components.contracts.values import Side, Symbol, TimeInForce, Venue
from components.signals.core.strategy import (
    TICK,
    OrderProposal,
    PositionView,
    StrategySettings,
    decide,
    marketable_price,
)

QUOTE = Quote(Venue("v"), Symbol("AAPL"), Decimal("189.99"), Decimal(200), Decimal("190.01"), Decimal(300), 1, 2)
SETTINGS = StrategySettings(
    edge_enter_min=0.3,
    edge_exit_min=0.2,
    cool_down_ms=3_000,
    quantity=Decimal(2),
    position_max=Decimal(5),
    price_offset_bps=Decimal(2),
    time_in_force=TimeInForce.IOC,
    short_allowed=False,
)
SHORTING = SETTINGS.model_copy(update={"short_allowed": True})
BUY_AT, SELL_AT = Decimal("190.04"), Decimal("189.96")


def position_view(held: int, *, buying: int = 0, selling: int = 0) -> PositionView:
    return PositionView(Decimal(held), Decimal(buying), Decimal(selling))


def entry(side: Side) -> OrderProposal:
    return OrderProposal(Purpose.ENTRY, side, Decimal(2), BUY_AT if side is Side.BUY else SELL_AT, TimeInForce.IOC)


def leave(side: Side, quantity: int) -> OrderProposal:
    return OrderProposal(
        Purpose.EXIT, side, Decimal(quantity), BUY_AT if side is Side.BUY else SELL_AT, TimeInForce.IOC
    )


@pytest.mark.parametrize(
    ("edge", "position", "proposal"),
    [
        (0.3, position_view(0), entry(Side.BUY)),
        (0.29, position_view(0), None),
        (0.9, position_view(3), entry(Side.BUY)),
        (0.9, position_view(4), None),
        (0.9, position_view(2, buying=2), None),
        (0.9, position_view(0, selling=1), None),
        (-0.9, position_view(0), None),
        (-0.2, position_view(3), leave(Side.SELL, 3)),
        (-0.19, position_view(3), None),
        (-0.9, position_view(3, selling=1), leave(Side.SELL, 2)),
        (-0.9, position_view(3, selling=3), None),
        (-0.9, position_view(3, buying=1), None),
        (0.25, position_view(-3), leave(Side.BUY, 3)),
        (0.0, position_view(3), None),
    ],
)
def test_an_edge_becomes_a_proposal_or_nothing(
    edge: float, position: PositionView, proposal: OrderProposal | None
) -> None:
    assert decide(QUOTE, edge, position, SETTINGS) == proposal


@pytest.mark.parametrize(
    ("edge", "position", "proposal"),
    [
        (-0.9, position_view(0), entry(Side.SELL)),
        (-0.9, position_view(-3), entry(Side.SELL)),
        (-0.9, position_view(-4), None),
        (-0.25, position_view(1), leave(Side.SELL, 1)),
    ],
)
def test_where_shorts_are_allowed_a_negative_edge_enters_too(
    edge: float, position: PositionView, proposal: OrderProposal | None
) -> None:
    assert decide(QUOTE, edge, position, SHORTING) == proposal


@given(
    st.decimals(min_value=1, max_value=10_000, places=2),
    st.decimals(min_value="0.01", max_value=10, places=2),
    st.decimals(min_value=0, max_value=100, places=1),
)
def test_a_limit_price_reaches_the_opposite_side_on_a_tick_and_never_past_the_offset(
    bid: Decimal, spread: Decimal, offset_bps: Decimal
) -> None:
    quote = replace(QUOTE, bid_price=bid, ask_price=bid + spread)
    buy, sell = (marketable_price(quote, side, offset_bps) for side in Side)
    assert quote.ask_price <= buy <= quote.ask_price * (1 + offset_bps / 10_000)
    assert bid * (1 - offset_bps / 10_000) <= sell <= bid
    assert buy % TICK == 0


def test_below_one_dollar_the_tick_is_finer() -> None:
    quote = replace(QUOTE, bid_price=Decimal("0.1234"), ask_price=Decimal("0.1236"))
    assert marketable_price(quote, Side.BUY, Decimal(20)) == Decimal("0.1238")
    assert marketable_price(quote, Side.SELL, Decimal(20)) == Decimal("0.1232")


def test_a_price_below_every_tick_gives_no_proposal() -> None:
    dust = replace(QUOTE, bid_price=Decimal("0.00001"), ask_price=Decimal("0.00002"))
    assert decide(dust, 0.9, position_view(0), SETTINGS) is None


@given(st.floats(-1, 1), st.integers(-9, 9), st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_no_proposal_exceeds_the_maximum_or_flips_a_position(
    edge: float, held: int, buying: int, selling: int, short_allowed: bool
) -> None:
    settings = SHORTING if short_allowed else SETTINGS
    proposal = decide(QUOTE, edge, position_view(held, buying=buying, selling=selling), settings)
    if proposal is None:
        return
    after = held + (proposal.quantity + (buying if proposal.side is Side.BUY else selling)) * proposal.side.sign
    if proposal.purpose is Purpose.EXIT:
        assert after * held >= 0
        assert abs(after) < abs(held)
    else:
        assert abs(after) <= settings.position_max
        assert after > 0 or short_allowed
