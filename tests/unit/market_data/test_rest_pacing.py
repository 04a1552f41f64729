"""What keeps us from asking a venue too much: told pauses, paces, the breaker, and patience that grows."""

import asyncio

import pytest

from components.contracts.values import Venue
from components.market_data.venues.counts import Door, VenueCounts
from components.market_data.venues.pacing import NS_PER_MS, Pace, Restraint, pace_of_sends, told_ms
from components.market_data.venues.patience import Patience
from components.runtime.metrics import Metrics
from components.runtime.retry import Breaker
from tests.support.clocks import ManualClock

NOW_NS = 1_795_000_000_000_000_000
DATE = "Wed, 18 Nov 2026 11:06:50 GMT"


@pytest.mark.parametrize(
    ("status", "header", "expected_ms"),
    [
        (429, "7", 7_000),
        (429, "", 1_000),
        (429, "soon", 1_000),
        (429, "-3", 1_000),
        (429, "99999999999999999999", 86_400_000),
        (418, "", 60_000),
        (418, "120", 120_000),
        (418, "5", 5_000),
        (503, "7", None),
        (200, "7", None),
    ],
)
def test_a_venue_says_how_long_it_wants_to_be_left_alone(status: int, header: str, expected_ms: float | None) -> None:
    assert told_ms(status, header, NOW_NS) == expected_ms


def test_it_may_say_so_by_a_date() -> None:
    told = told_ms(429, DATE, NOW_NS)
    assert told is not None
    assert told == pytest.approx(10_000, abs=1_000)


def restraint(clock: ManualClock) -> Restraint:
    breaker = Breaker(failures_max=2, pause_ns=1_000 * NS_PER_MS)
    return Restraint(clock, breaker, Door.REQUESTS, VenueCounts(Metrics("test", "0"), Venue("TOY")))


def test_a_told_pause_ends_by_itself_and_a_shorter_one_does_not_cut_it() -> None:
    clock = ManualClock()
    kept = restraint(clock)
    kept.hold(500)
    kept.hold(100)
    assert kept.held_ms == 500
    clock.pass_ms(500)
    assert kept.held_ms == 0


def test_after_failures_in_a_row_one_probe_goes_and_its_answer_decides() -> None:
    clock = ManualClock()
    kept = restraint(clock)
    assert kept.ask()
    kept.failed()
    kept.failed()
    assert kept.broken_ms == 1_000
    assert not kept.ask()
    clock.pass_ms(1_000)
    assert kept.ask()
    assert not kept.ask()
    assert kept.broken_ms > 0
    kept.failed()
    assert kept.broken_ms == 1_000
    clock.pass_ms(1_000)
    assert kept.ask()
    kept.succeeded()
    assert kept.broken_ms == 0


def test_what_weighs_more_than_a_burst_waits_for_a_whole_one_and_no_longer() -> None:
    clock = ManualClock()
    pace = Pace(clock, per_second=10.0, burst=5)
    asyncio.run(pace.wait(250))
    assert pace.wait_ms(250) == pytest.approx(500, abs=1)
    assert pace.wait_ms(1) == pytest.approx(100, abs=1)


@pytest.mark.parametrize("per_second", [1.0, 3.0, 3.3, 4.0, 5.0, 8.0, 10.0, 50.0])
def test_no_second_holds_more_messages_than_the_venue_allows(per_second: float) -> None:
    clock = ManualClock()
    pace = pace_of_sends(clock, per_second)
    sent = 0
    while clock.monotonic_ns() < 1_000_000_000 + 999 * NS_PER_MS:
        while pace.wait_ms() == 0:
            pace.spend()
            sent += 1
        clock.pass_ms(1)
    assert 1 <= sent <= max(per_second, 1)


def test_patience_with_a_quiet_book_doubles_up_to_its_bound_and_shrinks_when_it_speaks() -> None:
    patience = Patience(first_ms=100, mute_ms=200, longest_ms=500, healthy_ms=1_000)
    waits = []
    for _ in range(4):
        waits.append(patience.first_data_ms("book"))
        patience.unheard("book")
    assert waits == [100, 200, 400, 500]
    assert patience.first_data_ms("other") == 100
    patience.heard("book")
    patience.heard("book")
    assert patience.first_data_ms("book") == 400


def test_a_mute_line_is_given_more_time_until_data_flows_without_a_long_gap() -> None:
    patience = Patience(first_ms=100, mute_ms=200, longest_ms=500, healthy_ms=1_000)
    patience.muted()
    patience.muted()
    assert patience.mute_ms_max == 500
    assert patience.flowed(5_000, gap_ms_max=150)
    assert patience.mute_ms_max == 500
    assert not patience.flowed(999, gap_ms_max=10)
    assert patience.flowed(1_000, gap_ms_max=10)
    assert patience.mute_ms_max == 200
