"""Retries are bounded: by a cap, a token bucket, a circuit breaker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import InvariantError
from components.runtime.retry import Backoff, CircuitBreaker, CircuitState, TokenBucket

BACKOFF = Backoff(first_ms_max=250, delay_ms_max=30_000)
S = 1_000_000_000


@given(failures=st.integers(0, 10_000), jitter=st.floats(0, 1, exclude_max=True))
def test_a_delay_never_exceeds_its_cap(failures: int, jitter: float) -> None:
    assert 0 <= BACKOFF.delay_ms(failures, jitter) <= 30_000


def test_the_bound_doubles_from_the_first_try_to_the_cap() -> None:
    bounds = [BACKOFF.delay_ms(failures, 1.0) for failures in (1, 2, 3, 7, 8, 9)]
    assert bounds == [250, 500, 1_000, 16_000, 30_000, 30_000]


def test_a_delay_is_spread_over_all_of_its_bound() -> None:
    assert [BACKOFF.delay_ms(2, jitter) for jitter in (0, 0.5)] == [0, 250]


def test_a_backoff_without_a_cap_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="backoff from 250 ms to 0 ms"):
        Backoff(first_ms_max=250, delay_ms_max=0)


def test_a_bucket_gives_what_it_has_and_then_nothing() -> None:
    bucket: TokenBucket | None = TokenBucket.full(capacity=2, per_second=1, now_ns=0)
    for _ in range(2):
        assert bucket is not None
        bucket = bucket.take(0)
    assert bucket is not None
    assert bucket.take(0) is None
    assert bucket.wait_ns(0) == S + 1
    assert bucket.take(bucket.wait_ns(0)) is not None


@given(times=st.lists(st.integers(0, 100 * S), min_size=1, max_size=50))
def test_a_bucket_never_gives_more_than_capacity_and_refill(times: list[int]) -> None:
    bucket, given_count = TokenBucket.full(capacity=5, per_second=2, now_ns=0), 0
    for now_ns in times:
        if (left := bucket.take(now_ns)) is not None:
            bucket, given_count = left, given_count + 1
    assert given_count <= 5 + 2 * max(times) / S


def test_a_clock_that_went_back_refills_nothing() -> None:
    empty = TokenBucket.full(capacity=1, per_second=1, now_ns=10 * S).take(10 * S)
    assert empty is not None
    assert empty.take(5 * S) is None
    assert empty.at(5 * S).at_ns == 10 * S


BREAKER = CircuitBreaker(failures_max=3, cooldown_ns=10 * S)


def opened(at_ns: int) -> CircuitBreaker:
    return BREAKER.failed(at_ns).failed(at_ns).failed(at_ns)


def test_a_breaker_opens_after_its_failures() -> None:
    assert BREAKER.failed(0).failed(0).state(0) is CircuitState.CLOSED
    assert opened(0).state(0) is CircuitState.OPEN
    assert opened(0).try_acquire(9 * S) is None


def test_a_success_forgets_failures() -> None:
    assert BREAKER.failed(0).failed(0).succeeded().failed(0).state(0) is CircuitState.CLOSED


def test_after_the_pause_exactly_one_probe_may_go() -> None:
    probing = opened(0).try_acquire(10 * S)
    assert probing is not None
    assert probing.try_acquire(10 * S) is None
    assert probing.succeeded().state(10 * S) is CircuitState.CLOSED


def test_a_failed_probe_opens_it_again_for_a_whole_pause() -> None:
    probing = opened(0).try_acquire(10 * S)
    assert probing is not None
    again = probing.failed(10 * S)
    assert again.state(19 * S) is CircuitState.OPEN
    assert again.state(20 * S) is CircuitState.PROBING
