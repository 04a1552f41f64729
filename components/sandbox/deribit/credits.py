"""The credits a Deribit connection spends: each request costs, time refills."""

from dataclasses import dataclass

NANOSECONDS = 1_000_000_000


@dataclass(slots=True)
class Credits:
    """A bucket that was full at first and never holds more than it did then."""

    most: int
    refill_per_s: int
    cost: int
    at_ns: int
    left: float = -1.0

    def __post_init__(self) -> None:
        self.left = float(self.most)

    def spend(self, now_ns: int) -> bool:
        """Pay for one request; false where the credits do not suffice."""
        refilled = (now_ns - self.at_ns) * self.refill_per_s / NANOSECONDS
        self.left, self.at_ns = min(float(self.most), self.left + refilled), now_ns
        if self.left < self.cost:
            return False
        self.left -= self.cost
        return True


def for_subscriptions(now_ns: int) -> Credits:
    """Make the bucket of subscribe calls: a burst of ten, then a little over three a second."""
    return Credits(most=30_000, refill_per_s=10_000, cost=3_000, at_ns=now_ns)


def for_ordinary_calls(now_ns: int) -> Credits:
    """Make the bucket of all other calls: a burst of a hundred, then twenty a second."""
    return Credits(most=50_000, refill_per_s=10_000, cost=500, at_ns=now_ns)
