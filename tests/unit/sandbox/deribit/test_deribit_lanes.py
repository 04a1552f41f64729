"""What becomes of each level between two pushes of a Deribit book, and when a heartbeat ends a client."""

from decimal import Decimal

from components.sandbox.deribit.clients import Pulse
from components.sandbox.deribit.documents import ticker, trade
from components.sandbox.deribit.lanes import MILLISECOND_NS, Lane, Row, advance
from components.sandbox.deribit.listings import LISTINGS
from components.sandbox.flow.book import Change, FlowBook, Side
from components.sandbox.flow.orders import IdSpace, OrderFlow, Print

SYMBOL = "BTC-PERPETUAL"


def book(*bids: tuple[int, int]) -> FlowBook:
    made = FlowBook(10, Side(), Side())
    for price, amount in bids:
        made.bids.put(Decimal(price), Decimal(amount))
    return made


def row(action: str, price: int, amount: int) -> Row:
    return Row(action, Decimal(price), Decimal(amount))


def bid(number: int, price: int, amount: int) -> Change:
    return Change(number, 0, is_bid=True, price=Decimal(price), quantity=Decimal(amount))


def test_a_level_is_new_changed_or_deleted_by_what_was_there_before() -> None:
    bids, asks = advance(book((99, 10), (98, 20)), [bid(11, 99, 30), bid(12, 98, 0), bid(13, 97, 5)])
    assert bids == [row("change", 99, 30), row("delete", 98, 0), row("new", 97, 5)]
    assert asks == []


def test_a_level_that_came_and_went_between_two_pushes_is_not_told() -> None:
    assert advance(book(), [bid(11, 99, 30), bid(12, 99, 0)]) == ([], [])


def test_a_level_that_went_and_came_back_has_changed() -> None:
    assert advance(book((99, 10)), [bid(11, 99, 0), bid(12, 99, 7)])[0] == [row("change", 99, 7)]


def test_a_batch_follows_the_last_id_that_was_told() -> None:
    flow = OrderFlow(LISTINGS, 7, IdSpace.VENUE_WIDE)
    lane = Lane("100ms", SYMBOL, flow, 0)
    told = flow.last_id(SYMBOL)
    for at_ms in range(100, 1_000, 100):
        for one in flow.listings:
            flow.step(one, at_ms * MILLISECOND_NS)
        (moment,) = lane.moments(at_ms * MILLISECOND_NS)
        assert (moment.previous, moment.change_id) == (told, flow.last_id(SYMBOL))
        told = moment.change_id


def test_raw_gives_every_change_by_itself() -> None:
    flow = OrderFlow(LISTINGS, 7, IdSpace.VENUE_WIDE)
    lane = Lane("raw", SYMBOL, flow, 0)
    for _ in range(5):
        flow.step(SYMBOL, 3 * MILLISECOND_NS)
    assert len(list(lane.moments(4 * MILLISECOND_NS))) == 5
    assert list(lane.moments(5 * MILLISECOND_NS)) == []


def test_an_empty_side_is_zeros_in_a_ticker() -> None:
    found = ticker(LISTINGS[0], book((99, 10)), None, 0)
    assert (bytes(found["best_ask_price"]), bytes(found["best_ask_amount"])) == (b"0.0", b"0.0")  # type: ignore[call-overload]


def test_trade_ids_are_of_the_venue_and_prefixed_beside_bitcoin() -> None:
    fill = Print(3, 0, Decimal(100), Decimal(20), is_buy=False)
    bitcoin, ether = trade(LISTINGS[0], 0, fill), trade(LISTINGS[1], 1, fill)
    assert (bitcoin["trade_id"], ether["trade_id"]) == ("1000000003", "ETH-2000000003")
    assert bytes(bitcoin["contracts"]) == b"2.0"  # type: ignore[call-overload]
    assert bitcoin["direction"] == "sell"


def test_a_client_is_asked_each_interval_and_ended_when_it_did_not_answer() -> None:
    pulse = Pulse(interval_ns=10, due_ns=10)
    assert [pulse.beat(5), pulse.beat(10)] == [None, True]
    pulse.is_owed = False
    assert [pulse.beat(20), pulse.beat(25), pulse.beat(30)] == [True, None, False]
