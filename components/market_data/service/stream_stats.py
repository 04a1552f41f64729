"""Counters and latencies of each venue's stream, and the summary that is logged at the end."""

from typing import Any, Final

from components.contracts.values import Venue
from components.market_data.core.book.synchronizer import SyncStats
from components.runtime.metrics import Metrics

NS_PER_US: Final = 1_000
SAMPLE_EVERY: Final = 16
"""One in this many frames is timed through all stages; timing each would cost more than some of the stages."""


class LatencyStats:
    """Minimum, mean and maximum of the duration of one stage."""

    __slots__ = ("count", "max_us", "min_us", "total_us")

    def __init__(self) -> None:
        self.count, self.total_us, self.min_us, self.max_us = 0, 0.0, 0.0, 0.0

    def add(self, microseconds: float) -> None:
        """Add one duration."""
        if microseconds < self.min_us or self.count == 0:
            self.min_us = microseconds
        self.max_us = max(self.max_us, microseconds)
        self.total_us += microseconds
        self.count += 1

    def summary(self) -> str:
        """Return min/mean/max in microseconds."""
        mean_us = self.total_us / self.count if self.count else 0.0
        return f"{self.min_us:.1f}/{mean_us:.1f}/{self.max_us:.1f}"


class StreamStats:
    """Volume and stage latencies of one venue's stream."""

    def __init__(self, venue: Venue, metrics: Metrics) -> None:
        self._venue = venue
        self.frames = self.bytes_count = 0
        self.first_at_ns = self.last_at_ns = 0
        self.parse, self.transform, self.publish = LatencyStats(), LatencyStats(), LatencyStats()
        self._transformed_us = 0.0
        self._frames = metrics.counter("market_frames_total", "Frames of a venue's streams", ("venue",)).labels(venue)
        self._counted_frames = 0
        self._book_events = metrics.counter("market_book_events_total", "Book events by outcome", ("venue", "outcome"))
        self._counted = SyncStats()
        for outcome in SyncStats.__struct_fields__:
            # A counter that first appears with its first event shows no increase, so all are created at once.
            self._book_events.labels(venue, outcome)

    def on_frame(self, received_at_ns: int, parse_ns: int, bytes_count: int) -> bool:
        """Count a frame; return whether its further stages are to be timed."""
        if self.frames == 0:
            self.first_at_ns = received_at_ns
        self.frames += 1
        self.bytes_count += bytes_count
        self.last_at_ns = received_at_ns
        self.parse.add(parse_ns / NS_PER_US)
        return self.frames % SAMPLE_EVERY == 1

    def observe_transform(self, seconds: float) -> None:
        """Record the time that the service took."""
        self._transformed_us = seconds * 1e6
        self.transform.add(self._transformed_us)

    def observe_publish(self, seconds: float) -> None:
        """Record the time that publishing took after the service."""
        self.publish.add(max(seconds * 1e6 - self._transformed_us, 0.0))

    def update_metrics(self, stats: list[SyncStats]) -> None:
        """Raise the counters to the totals of the books' own statistics."""
        self._frames.inc(self.frames - self._counted_frames)
        self._counted_frames = self.frames
        for outcome in SyncStats.__struct_fields__:
            total = sum(getattr(one, outcome) for one in stats)
            # A replayed update is subtracted from `updates` for a moment; a counter may only increase.
            more = total - getattr(self._counted, outcome)
            if more > 0:
                self._book_events.labels(self._venue, outcome).inc(more)
                setattr(self._counted, outcome, total)

    def summary(self) -> dict[str, Any]:
        """Return the summary of the stream as log fields."""
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
