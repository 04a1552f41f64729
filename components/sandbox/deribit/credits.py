"""The credits a Deribit connection spends: each request costs, time refills."""

from dataclasses import dataclass

DERIBIT_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class TokenBucket:
    """A bucket that was full at first and never holds more than it did then."""

    capacity: int
    refill_per_s: int
    cost: int
    at_ns: int
    available: float = -1.0

    def __post_init__(self) -> None:
        self.available = float(self.capacity)

    def spend(self, now_ns: int) -> bool:
        """Pay for one request; false where the credits do not suffice."""
        refilled = (now_ns - self.at_ns) * self.refill_per_s / DERIBIT_SECOND_NS
        self.available, self.at_ns = min(float(self.capacity), self.available + refilled), now_ns
        if self.available < self.cost:
            return False
        self.available -= self.cost
        return True


def subscription_bucket(now_ns: int) -> TokenBucket:
    """Make the bucket of subscribe calls: a burst of ten, then a little over three a second."""
    return TokenBucket(capacity=30_000, refill_per_s=10_000, cost=3_000, at_ns=now_ns)


def call_bucket(now_ns: int) -> TokenBucket:
    """Make the bucket of all other calls: a burst of a hundred, then twenty a second."""
    return TokenBucket(capacity=50_000, refill_per_s=10_000, cost=500, at_ns=now_ns)
