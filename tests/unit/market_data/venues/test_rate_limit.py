"""Retry-After delays, rate limits and the circuit breaker."""

import asyncio

import pytest

from components.contracts.values import Venue
from components.market_data.venues.metrics import Transport, VenueMetrics
from components.market_data.venues.rate_limit import CircuitGuard, RateLimiter, parse_retry_after_ms, send_rate_limiter
from components.runtime.clock import NS_PER_MS
from components.runtime.metrics import Metrics
from components.runtime.retry import CircuitBreaker
from tests.support.manual_clock import ManualClock

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
def test_a_retry_after_header_gives_the_delay(status: int, header: str, expected_ms: float | None) -> None:
    assert parse_retry_after_ms(status, header, NOW_NS) == expected_ms


def test_a_retry_after_header_may_be_a_date() -> None:
    delay_ms = parse_retry_after_ms(429, DATE, NOW_NS)
    assert delay_ms is not None
    assert delay_ms == pytest.approx(10_000, abs=1_000)


def guard(clock: ManualClock) -> CircuitGuard:
    breaker = CircuitBreaker(failures_max=2, cooldown_ns=1_000 * NS_PER_MS)
    return CircuitGuard(clock, breaker, Transport.REST, VenueMetrics(Metrics("test", "0"), Venue("TOY")))


def test_a_retry_after_delay_expires_and_a_shorter_one_does_not_shorten_it() -> None:
    clock = ManualClock()
    kept = guard(clock)
    kept.pause(500)
    kept.pause(100)
    assert kept.paused_ms == 500
    clock.advance_ms(500)
    assert kept.paused_ms == 0


def test_after_failures_in_a_row_one_probe_goes_and_its_answer_decides() -> None:
    clock = ManualClock()
    kept = guard(clock)
    assert kept.try_acquire()
    kept.failed()
    kept.failed()
    assert kept.open_ms == 1_000
    assert not kept.try_acquire()
    clock.advance_ms(1_000)
    assert kept.try_acquire()
    assert not kept.try_acquire()
    assert kept.open_ms > 0
    kept.failed()
    assert kept.open_ms == 1_000
    clock.advance_ms(1_000)
    assert kept.try_acquire()
    kept.succeeded()
    assert kept.open_ms == 0


def test_what_weighs_more_than_a_burst_waits_for_a_whole_one_and_no_longer() -> None:
    clock = ManualClock()
    pace = RateLimiter(clock, per_second=10.0, burst=5)
    asyncio.run(pace.acquire(250))
    assert pace.wait_ms(250) == pytest.approx(500, abs=1)
    assert pace.wait_ms(1) == pytest.approx(100, abs=1)


@pytest.mark.parametrize("per_second", [1.0, 3.0, 3.3, 4.0, 5.0, 8.0, 10.0, 50.0])
def test_no_second_holds_more_messages_than_the_venue_allows(per_second: float) -> None:
    clock = ManualClock()
    pace = send_rate_limiter(clock, per_second)
    sent = 0
    while clock.monotonic_ns() < 1_000_000_000 + 999 * NS_PER_MS:
        while pace.wait_ms() == 0:
            pace.consume()
            sent += 1
        clock.advance_ms(1)
    assert 1 <= sent <= max(per_second, 1)
