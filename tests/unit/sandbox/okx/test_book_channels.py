"""The book channels of the simulated OKX: pushes, views and sequence ids."""

from decimal import Decimal

from components.sandbox.numerics import MILLISECOND_NS, SECOND_NS
from components.sandbox.okx.book_channels import BOOKS, RESET_STEP, BookChannelState, BookView, SequenceIds
from components.sandbox.okx.instruments import INSTRUMENTS
from components.sandbox.simulation.order_flow import IdSpace, OrderFlow

SYMBOL = "BTC-USDT"
NEVER_NS = 10**18


def market() -> OrderFlow:
    return OrderFlow(INSTRUMENTS[:1], 7, IdSpace.PER_SYMBOL)


def channel_state(flow: OrderFlow, channel: str = "books") -> BookChannelState:
    return BookChannelState(BOOKS[channel], SYMBOL, flow, SequenceIds(flow.last_id(SYMBOL)), 0)


def test_nothing_is_pushed_before_the_period_is_over() -> None:
    flow = market()
    made = channel_state(flow)
    flow.step(SYMBOL, 1)
    assert made.push(99 * MILLISECOND_NS, NEVER_NS) is None
    assert made.push(100 * MILLISECOND_NS, NEVER_NS) is not None


def test_an_unchanged_book_gets_a_keep_alive_once_a_minute() -> None:
    made = channel_state(market())
    assert made.push(59 * SECOND_NS, 60 * SECOND_NS) is None
    push = made.push(60 * SECOND_NS, 60 * SECOND_NS)
    assert push is not None
    assert push.prev_sequence == push.sequence
    assert made.push(61 * SECOND_NS, 60 * SECOND_NS) is None


def test_an_unchanged_full_book_is_sent_again_once_a_minute() -> None:
    made = channel_state(market(), "books5")
    push = made.push(60 * SECOND_NS, 60 * SECOND_NS)
    assert push is not None
    assert len(push.bids) == len(push.asks) == 5


def test_a_whole_book_is_not_pushed_when_only_what_is_below_it_changed() -> None:
    flow = market()
    made = channel_state(flow, "bbo-tbt")
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


def level(price: int, quantity: int) -> tuple[Decimal, Decimal]:
    return Decimal(price), Decimal(quantity)


def test_a_snapshot_has_no_predecessor() -> None:
    push = BookView(10, [level(99, 1)], [level(101, 1)]).snapshot()
    assert (push.is_snapshot, push.prev_sequence, push.sequence) == (True, -1, 10)


def test_an_update_follows_the_window_before_it() -> None:
    window = BookView(10, [level(99, 1)], [])
    push = window.advance(BookView(15, [level(99, 2)], []), [level(99, 2)], [])
    assert (push.prev_sequence, push.sequence, push.bids) == (10, 15, [level(99, 2)])
    assert window.sequence == 15


def test_an_update_restates_touched_levels_that_ended_as_they_began() -> None:
    window = BookView(10, [level(99, 1)], [])
    assert window.advance(BookView(12, [level(99, 1)], []), [level(99, 1)], []).bids == [level(99, 1)]


def test_an_update_deletes_levels_the_client_never_saw() -> None:
    window = BookView(10, [level(99, 1)], [])
    assert window.advance(BookView(12, [level(99, 1)], []), [level(98, 0)], []).bids == [level(98, 0)]


def test_a_level_displaced_from_the_view_is_deleted_and_one_that_enters_is_sent() -> None:
    window = BookView(10, [level(99, 1), level(98, 1)], [])
    pushed_out = window.advance(BookView(11, [level(100, 5), level(99, 1)], []), [level(100, 5)], [])
    assert sorted(pushed_out.bids) == [level(98, 0), level(100, 5)]
    entered = window.advance(BookView(12, [level(99, 1), level(98, 1)], []), [level(100, 0)], [])
    assert sorted(entered.bids) == [level(98, 1), level(100, 0)]


def test_a_touched_level_below_the_view_is_not_sent() -> None:
    window = BookView(10, [level(99, 1)], [])
    assert window.advance(BookView(11, [level(99, 1)], []), [level(50, 3)], []).bids == []


def test_a_keep_alive_follows_itself_and_carries_nothing() -> None:
    push = BookView(15, [level(99, 1)], []).keep_alive()
    assert (push.prev_sequence, push.sequence, push.bids, push.asks) == (15, 15, (), ())


def test_ids_are_the_flows_until_they_are_set_back() -> None:
    numbering = SequenceIds(1_000_000)
    assert numbering.to_wire(1_000_500) == 1_000_500
    assert numbering.reset(1_000_500)
    assert numbering.to_wire(1_000_500) == 1_000_500
    assert numbering.to_wire(1_000_501) == 1_000_000 - RESET_STEP


def test_every_sent_id_means_one_book_across_maintenances() -> None:
    numbering = SequenceIds(1_000_000)
    numbering.reset(1_000_500)
    numbering.reset(1_000_700)
    flow = [1_000_000, 1_000_500, 1_000_501, 1_000_700, 1_000_701, 1_000_900]
    assert [numbering.from_wire(numbering.to_wire(one), 1_000_900) for one in flow] == flow


def test_an_id_still_to_come_means_the_latest_and_one_from_before_the_first_none() -> None:
    numbering = SequenceIds(1_000_000)
    assert numbering.from_wire(1_000_900, 1_000_500) == 1_000_500
    assert numbering.from_wire(999_000, 1_000_500) == 999_000
    numbering.reset(1_000_500)
    assert numbering.from_wire(1_000_000 - RESET_STEP + 5, 1_000_502) == 1_000_502
    assert numbering.from_wire(7, 1_000_502) == 7


def test_ids_cannot_be_set_back_below_zero() -> None:
    numbering = SequenceIds(RESET_STEP + 10)
    assert numbering.reset(RESET_STEP + 20)
    assert not numbering.reset(RESET_STEP + 30)
