"""What an OKX book channel pushes at each beat, and how trades are merged."""

from decimal import Decimal

from components.sandbox.numerics import MILLISECOND_NS, SECOND_NS
from components.sandbox.okx.book_channels import BOOKS, BookChannelState, SequenceIds
from components.sandbox.okx.instruments import INSTRUMENTS
from components.sandbox.okx.messages import merge_fills, ticker_document, trade_document
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow, SimTrade
from components.sandbox.transport.rate_limits import SlidingWindowLimit

SYMBOL = "BTC-USDT"


NEVER_NS = 10**18


def market() -> OrderFlow:
    return OrderFlow(INSTRUMENTS[:1], 7, IdSpace.PER_SYMBOL)


def line(flow: OrderFlow, channel: str = "books") -> BookChannelState:
    return BookChannelState(BOOKS[channel], SYMBOL, flow, SequenceIds(flow.last_id(SYMBOL)), 0)


def test_nothing_is_pushed_before_the_period_is_over() -> None:
    flow = market()
    made = line(flow)
    flow.step(SYMBOL, 1)
    assert made.push(99 * MILLISECOND_NS, NEVER_NS) is None
    assert made.push(100 * MILLISECOND_NS, NEVER_NS) is not None


def test_a_book_that_stands_still_is_kept_alive_once_a_minute() -> None:
    made = line(market())
    assert made.push(59 * SECOND_NS, 60 * SECOND_NS) is None
    push = made.push(60 * SECOND_NS, 60 * SECOND_NS)
    assert push is not None
    assert push.prev_sequence == push.sequence
    assert made.push(61 * SECOND_NS, 60 * SECOND_NS) is None


def test_a_whole_book_that_stands_still_is_sent_again_once_a_minute() -> None:
    made = line(market(), "books5")
    push = made.push(60 * SECOND_NS, 60 * SECOND_NS)
    assert push is not None
    assert len(push.bids) == len(push.asks) == 5


def test_a_whole_book_is_not_pushed_when_only_what_is_below_it_changed() -> None:
    flow = market()
    made = line(flow, "bbo-tbt")
    pushes = []
    for at_ms in range(10, 510, 10):
        best = flow.book(SYMBOL).top(1)
        flow.step(SYMBOL, at_ms * MILLISECOND_NS)
        push = made.push(at_ms * MILLISECOND_NS, NEVER_NS)
        pushes.append((push is not None, flow.book(SYMBOL).top(1) != best))
    assert all(pushed == changed for pushed, changed in pushes)


def test_ids_start_below_after_maintenance_and_chain_to_those_before() -> None:
    flow = market()
    numbering = SequenceIds(flow.last_id(SYMBOL))
    made = BookChannelState(BOOKS["books"], SYMBOL, flow, numbering, 0)
    before = made.view.sequence
    numbering.reset(flow.last_id(SYMBOL))
    flow.step(SYMBOL, 1)
    push = made.push(SECOND_NS, NEVER_NS)
    assert push is not None
    assert push.prev_sequence == before > push.sequence


def fill(number: int, at_ns: int, price: str = "100", *, is_buy: bool = True) -> SimTrade:
    return SimTrade(number, at_ns, Decimal(price), Decimal(2), is_buy)


def test_fills_of_one_moment_price_and_side_are_one_trade_that_counts_them() -> None:
    merged = merge_fills([fill(5, 1), fill(6, 1), fill(7, 1, "101"), fill(8, 1, "101", is_buy=False), fill(9, 2)])
    assert [(one.last.id, one.fills) for one in merged] == [(6, 2), (7, 1), (8, 1), (9, 1)]
    assert trade_document(SYMBOL, merged[0], 77) == {
        "instId": SYMBOL,
        "tradeId": "6",
        "px": "100",
        "sz": "4",
        "side": "buy",
        "ts": "0",
        "source": "0",
        "seqId": 77,
        "count": "2",
    }


def test_a_ticker_before_the_first_trade_has_no_last_price() -> None:
    found = ticker_document(INSTRUMENTS[0], market())
    assert (found["last"], found["lastSz"], found["instType"]) == ("", "", "SPOT")


def test_an_allowance_slides_and_does_not_count_what_it_refused() -> None:
    allowance = SlidingWindowLimit(2, 1)
    assert [allowance.take(at_ns) for at_ns in (0, 5, 6, SECOND_NS, SECOND_NS + 1)] == [True, True, False, True, False]
