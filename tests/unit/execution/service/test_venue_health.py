"""The share of the venue's request budget that each kind of request gets."""

from components.execution.config import RequestBudgetConfig
from components.execution.service.venue_health import RequestBudget
from tests.support.execution_harness import START_NS

SECOND_NS = 1_000_000_000


def pace() -> RequestBudget:
    return RequestBudget(RequestBudgetConfig(orders_per_minute=60, reads_per_minute=40, reserve_per_minute=40))


def test_a_quarter_of_a_minutes_orders_may_be_sent_at_once_then_one_a_second() -> None:
    made = pace()
    assert [made.try_acquire_submit(START_NS) for _ in range(16)] == [True] * 15 + [False]
    assert made.try_acquire_submit(START_NS + SECOND_NS)
    assert not made.try_acquire_submit(START_NS + SECOND_NS)


def test_reads_do_not_consume_the_order_budget() -> None:
    made = pace()
    while made.try_acquire_reads(START_NS, 1):
        pass
    assert made.try_acquire_submit(START_NS)


def test_a_query_about_an_order_may_use_the_reserve() -> None:
    made = pace()
    assert [made.try_acquire_query(START_NS) for _ in range(21)] == [True] * 20 + [False]


def test_cancels_never_wait_and_later_orders_do() -> None:
    made = pace()
    for _ in range(10 + 15):
        made.charge_cancel(START_NS)
    assert not made.try_acquire_submit(START_NS)


def test_requests_that_can_wait_are_paused_until_the_time_the_venue_names() -> None:
    made = pace()
    made.pause_until(START_NS + 5 * SECOND_NS, START_NS)
    assert not made.try_acquire_submit(START_NS + 4 * SECOND_NS)
    assert not made.try_acquire_query(START_NS + 4 * SECOND_NS)
    assert made.try_acquire_submit(START_NS + 5 * SECOND_NS)


def test_a_venue_cannot_pause_requests_for_longer_than_a_minute() -> None:
    made = pace()
    made.pause_until(START_NS + 3_600 * SECOND_NS, START_NS)
    assert made.try_acquire_submit(START_NS + 60 * SECOND_NS)


def test_a_clock_that_is_set_back_does_not_stop_the_refill() -> None:
    made = pace()
    while made.try_acquire_submit(START_NS):
        pass
    earlier_ns = START_NS - 3_600 * SECOND_NS
    assert not made.try_acquire_submit(earlier_ns)
    assert made.try_acquire_submit(earlier_ns + SECOND_NS)
