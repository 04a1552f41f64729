"""What the books' desk counts and times, by venue; and the line that sums each stream up at its end."""

from typing import Any

from components.contracts.values import Venue
from components.market_data.core.synchroniser import Tally
from components.runtime.metrics import Metrics

NS_PER_US = 1_000
SAMPLE_EVERY = 16
"""Every so many frames one is timed on its way; timing each would cost more than some of the stages."""


class Span:
    """The least, the mean and the most of one stage."""

    __slots__ = ("count", "least_us", "most_us", "total_us")

    def __init__(self) -> None:
        self.count, self.total_us, self.least_us, self.most_us = 0, 0.0, 0.0, 0.0

    def add(self, microseconds: float) -> None:
        """Take one more."""
        if microseconds < self.least_us or self.count == 0:
            self.least_us = microseconds
        self.most_us = max(self.most_us, microseconds)
        self.total_us += microseconds
        self.count += 1

    def summary(self) -> str:
        """Write min/mean/max in microseconds."""
        mean_us = self.total_us / self.count if self.count else 0.0
        return f"{self.least_us:.1f}/{mean_us:.1f}/{self.most_us:.1f}"


class StreamMeter:
    """One venue's stream: how much came, and how long each stage took."""

    def __init__(self, venue: Venue, metrics: Metrics) -> None:
        self._venue = venue
        self.frames = self.bytes_count = 0
        self.first_at_ns = self.last_at_ns = 0
        self.parse, self.transform, self.publish = Span(), Span(), Span()
        self._transformed_us = 0.0
        self._frames = metrics.counter("market_frames_total", "Frames of a venue's streams", ("venue",)).labels(venue)
        self._counted_frames = 0
        self._changes = metrics.counter(
            "market_book_events_total", "What changes of books came to", ("venue", "outcome")
        )
        self._counted = Tally()
        for outcome in Tally.__struct_fields__:
            # A counter that begins with its first event shows no increase.
            self._changes.labels(venue, outcome)

    def frame(self, received_at_ns: int, parse_ns: int, bytes_count: int) -> bool:
        """Count a frame; True where this one is to be timed further."""
        if self.frames == 0:
            self.first_at_ns = received_at_ns
        self.frames += 1
        self.bytes_count += bytes_count
        self.last_at_ns = received_at_ns
        self.parse.add(parse_ns / NS_PER_US)
        return self.frames % SAMPLE_EVERY == 1

    def transformed(self, seconds: float) -> None:
        """Note how long the service took."""
        self._transformed_us = seconds * 1e6
        self.transform.add(self._transformed_us)

    def published(self, seconds: float) -> None:
        """Note how long saying it took, behind the service."""
        self.publish.add(max(seconds * 1e6 - self._transformed_us, 0.0))

    def count(self, tallies: list[Tally]) -> None:
        """Bring the counters up to what the books have counted themselves."""
        self._frames.inc(self.frames - self._counted_frames)
        self._counted_frames = self.frames
        for outcome in Tally.__struct_fields__:
            total = sum(getattr(tally, outcome) for tally in tallies)
            # A change that is replayed is taken back from `changes` for a moment: a counter only goes up.
            more = total - getattr(self._counted, outcome)
            if more > 0:
                self._changes.labels(self._venue, outcome).inc(more)
                setattr(self._counted, outcome, total)

    def summary(self) -> dict[str, Any]:
        """Sum the stream up in one line's facts."""
        seconds = (self.last_at_ns - self.first_at_ns) / 1e9
        return {
            "venue": self._venue,
            "frames": self.frames,
            "frames_per_s": round(self.frames / seconds, 1) if seconds > 0 else 0.0,
            "kib_per_s": round(self.bytes_count / 1024 / seconds, 1) if seconds > 0 else 0.0,
            "parse_us": self.parse.summary(),
            "transform_us": self.transform.summary(),
            "publish_us": self.publish.summary(),
        }
