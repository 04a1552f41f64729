"""What becomes of each level between two pushes of a Deribit book, and when a heartbeat ends a client."""

from decimal import Decimal

from components.sandbox.deribit.book_channels import BookChannelState, LevelRow, apply_updates
from components.sandbox.deribit.instruments import INSTRUMENTS
from components.sandbox.deribit.messages import ticker_document, trade_document
from components.sandbox.deribit.publisher import Heartbeat
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.simulation.order_book import BookSide, LevelUpdate, SimulatedBook
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow, SimTrade

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


def test_an_empty_side_is_zeros_in_a_ticker() -> None:
    found = ticker_document(INSTRUMENTS[0], book((99, 10)), None, 0)
    assert (bytes(found["best_ask_price"]), bytes(found["best_ask_amount"])) == (b"0.0", b"0.0")  # type: ignore[call-overload]


def test_trade_ids_are_of_the_venue_and_prefixed_beside_bitcoin() -> None:
    fill = SimTrade(3, 0, Decimal(100), Decimal(20), is_buy=False)
    bitcoin, ether = trade_document(INSTRUMENTS[0], 0, fill), trade_document(INSTRUMENTS[1], 1, fill)
    assert (bitcoin["trade_id"], ether["trade_id"]) == ("1000000003", "ETH-2000000003")
    assert bytes(bitcoin["contracts"]) == b"2.0"  # type: ignore[call-overload]
    assert bitcoin["direction"] == "sell"


def test_a_client_that_misses_a_test_request_is_closed() -> None:
    heartbeat = Heartbeat(interval_ns=10, due_ns=10)
    assert [heartbeat.tick(5), heartbeat.tick(10)] == [None, True]
    heartbeat.is_awaiting_reply = False
    assert [heartbeat.tick(20), heartbeat.tick(25), heartbeat.tick(30)] == [True, None, False]
