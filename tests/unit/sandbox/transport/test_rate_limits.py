"""Rate limits of the venues."""

from components.sandbox.numerics import SECOND_NS
from components.sandbox.transport.rate_limits import FixedWindowLimit
from tests.support.sandbox_venue import NOON_NS


def test_a_fixed_window_limit_starts_again_each_minute() -> None:
    limit = FixedWindowLimit(per_minute=2)
    assert [limit.try_acquire(NOON_NS) for _ in range(3)] == [True, True, False]
    assert limit.headers()["X-RateLimit-Remaining"] == "0"
    assert limit.headers()["X-RateLimit-Reset"] == str(NOON_NS // SECOND_NS + 60)
    assert limit.try_acquire(NOON_NS + 60 * SECOND_NS)
