"""Subscription counters that a test can read."""

from dataclasses import dataclass, field

from components.runtime.bus.codec import InvalidFrame


@dataclass
class FakeSubscriptionCounters:
    gaps: list[int] = field(default_factory=list)
    repeats: int = 0
    restarts: int = 0
    invalid_frames: list[str] = field(default_factory=list)

    def count_gap(self, missing: int) -> None:
        self.gaps.append(missing)

    def count_duplicate(self) -> None:
        self.repeats += 1

    def count_producer_restart(self) -> None:
        self.restarts += 1

    def count_invalid_frame(self, error: InvalidFrame) -> None:
        self.invalid_frames.append(error.defect.value)
