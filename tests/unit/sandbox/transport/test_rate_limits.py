"""Rate limits of the venues."""

from components.sandbox.numerics import SECOND_NS
from components.sandbox.transport.rate_limits import (
    BAN_S,
    VIOLATIONS_MAX,
    FixedWindowLimit,
    RequestWeights,
    SlidingWindowLimit,
)
from tests.support.sandbox_venue import NOON_NS


def test_a_fixed_window_limit_starts_again_each_minute() -> None:
    limit = FixedWindowLimit(per_minute=2)
    assert [limit.try_acquire(NOON_NS) for _ in range(3)] == [True, True, False]
    assert limit.headers()["X-RateLimit-Remaining"] == "0"
    assert limit.headers()["X-RateLimit-Reset"] == str(NOON_NS // SECOND_NS + 60)
    assert limit.try_acquire(NOON_NS + 60 * SECOND_NS)


def test_a_minutes_weight_is_counted_and_forgotten_with_the_minute() -> None:
    weights = RequestWeights(100)
    assert [weights.spend(40, 10 * SECOND_NS).used for _ in range(2)] == [40, 80]
    refused = weights.spend(40, 15 * SECOND_NS)
    assert (refused.status, refused.retry_after_s) == (429, 45)
    assert weights.spend(40, 60 * SECOND_NS).status == 200


def test_a_client_that_ignores_429_is_banned_beyond_the_minute() -> None:
    weights = RequestWeights(10)
    statuses = [weights.spend(20, 30 * SECOND_NS).status for _ in range(VIOLATIONS_MAX + 1)]
    assert statuses == [429] * VIOLATIONS_MAX + [418]
    later = weights.spend(1, 70 * SECOND_NS)
    assert (later.status, later.retry_after_s) == (418, BAN_S - 40)
    assert weights.spend(1, (30 + BAN_S) * SECOND_NS).status == 200


def test_an_allowance_slides_and_does_not_count_what_it_refused() -> None:
    allowance = SlidingWindowLimit(2, 1)
    assert [allowance.try_acquire(at_ns) for at_ns in (0, 5, 6, SECOND_NS, SECOND_NS + 1)] == [
        True,
        True,
        False,
        True,
        False,
    ]
