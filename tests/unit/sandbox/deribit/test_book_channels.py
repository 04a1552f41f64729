"""The channels of the simulated Deribit: names, and the rows of each level between two pushes."""

from decimal import Decimal

import pytest

from components.sandbox.deribit.book_channels import (
    BookChannelState,
    Channel,
    LevelRow,
    Topic,
    apply_updates,
    parse_channel,
)
from components.sandbox.deribit.instruments import INSTRUMENTS
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.simulation.order_book import BookSide, LevelUpdate, SimulatedBook
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow

SYMBOL = "BTC-PERPETUAL"


def book(*bids: tuple[int, int]) -> SimulatedBook:
    made = SimulatedBook(10, BookSide(), BookSide())
    for price, amount in bids:
        made.bids.set_level(Decimal(price), Decimal(amount))
    return made


def row(action: str, price: int, amount: int) -> LevelRow:
    return LevelRow(action, Decimal(price), Decimal(amount))


def bid(number: int, price: int, amount: int) -> LevelUpdate:
    return LevelUpdate(number, 0, is_bid=True, price=Decimal(price), quantity=Decimal(amount))


def test_a_level_is_new_changed_or_deleted_by_what_was_there_before() -> None:
    bids, asks = apply_updates(book((99, 10), (98, 20)), [bid(11, 99, 30), bid(12, 98, 0), bid(13, 97, 5)])
    assert bids == [row("change", 99, 30), row("delete", 98, 0), row("new", 97, 5)]
    assert asks == []


def test_a_level_that_came_and_went_between_two_pushes_is_not_sent() -> None:
    assert apply_updates(book(), [bid(11, 99, 30), bid(12, 99, 0)]) == ([], [])


def test_a_level_that_went_and_came_back_has_changed() -> None:
    assert apply_updates(book((99, 10)), [bid(11, 99, 0), bid(12, 99, 7)])[0] == [row("change", 99, 7)]


def test_a_push_chains_to_the_last_id_sent() -> None:
    flow = OrderFlow(INSTRUMENTS, 7, IdSpace.VENUE_WIDE)
    state = BookChannelState("100ms", SYMBOL, flow, 0)
    last_sent = flow.last_id(SYMBOL)
    for at_ms in range(100, 1_000, 100):
        for one in flow.instruments:
            flow.step(one, at_ms * MILLISECOND_NS)
        (push,) = state.next_pushes(at_ms * MILLISECOND_NS)
        assert (push.prev_change_id, push.change_id) == (last_sent, flow.last_id(SYMBOL))
        last_sent = push.change_id


def test_raw_gives_every_change_by_itself() -> None:
    flow = OrderFlow(INSTRUMENTS, 7, IdSpace.VENUE_WIDE)
    state = BookChannelState("raw", SYMBOL, flow, 0)
    for _ in range(5):
        flow.step(SYMBOL, 3 * MILLISECOND_NS)
    assert len(list(state.next_pushes(4 * MILLISECOND_NS))) == 5
    assert list(state.next_pushes(5 * MILLISECOND_NS)) == []


@pytest.mark.parametrize(
    "name",
    [
        "book.BTC-PERPETUAL.raw",
        "book.BTC-PERPETUAL.100ms",
        "book.BTC-PERPETUAL.agg2",
        "trades.BTC-25DEC26-80000-P.raw",
        "trades.future.BTC.100ms",
        "ticker.BTC_USDC.100ms",
        "quote.BTC-PERPETUAL",
        "platform_state",
    ],
)
def test_a_channel_keeps_its_name(name: str) -> None:
    channel = parse_channel(name)
    assert channel is not None
    assert channel.name == name


@pytest.mark.parametrize("name", ["", "book", "book.BTC-PERPETUAL", "book.BTC-PERPETUAL.5ms", "fees.BTC-PERPETUAL.raw"])
def test_an_unknown_channel_name_is_none(name: str) -> None:
    assert parse_channel(name) is None


def test_trades_of_a_kind_name_no_instrument() -> None:
    assert parse_channel("trades.option.any.raw") == Channel(Topic.TRADES, "raw", kind="option", currency="any")
