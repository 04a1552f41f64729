"""What the bus counts: plain integers where messages pass, moved into the metrics once a second."""

from collections.abc import Iterable
from typing import Any, Final, Protocol

from msgspec import Struct
from prometheus_client import Counter

from components.contracts.streams import Stream
from components.runtime.bus.codec import InvalidFrame
from components.runtime.clock import Clock
from components.runtime.metrics import Metrics

LOG_INTERVAL_NS: Final = 60_000_000_000
"""A frame that is refused is logged once a minute for each stream and flaw; every one is counted."""
HELP: Final = {
    "published": "Messages said on a stream.",
    "published_bytes": "Bytes of those messages, without their headers.",
    "received": "Messages and heartbeats heard on a stream.",
    "received_bytes": "Bytes of those, without their headers.",
    "gaps": "Losses within one run of the producer.",
    "missing": "Messages lost in those gaps.",
    "repeats": "Messages heard a second time and dropped.",
    "restarts": "Other starts of a producer, noticed on its stream.",
    "requests": "Requests made.",
    "retries": "Requests sent again with the same id.",
    "unanswered": "Requests whose deadline passed: outcome unknown.",
    "stale_replies": "Answers that nobody waited for any more.",
    "replies": "Requests answered.",
    "replies_undelivered": "Answers whose asker was gone or did not read.",
    "handed_over": "Sealed frames sent.",
    "not_handed_over": "Sealed frames that could not leave; the outbox sends them again.",
    "refused": "Frames that were not what the table of streams says.",
}


class Log(Protocol):
    """The one word that the bus says to the log."""

    def warning(self, event: str, **facts: Any) -> Any:  # noqa: ANN401 -- as the logger declares it
        """Write one line."""


class StreamStatistics(Struct, frozen=True, gc=False):
    """What one process counted on one stream since its start."""

    stream: str
    counts: dict[str, int]


class StreamCounters:
    """The counts of one stream; public integers, because adding to one costs 30 ns and to a metric 400."""

    __slots__ = (
        "_clock",
        "_log",
        "_metrics",
        "_moved",
        "_named_at_ns",
        "_unnamed",
        "gaps",
        "handed_over",
        "missing",
        "not_handed_over",
        "published",
        "published_bytes",
        "received",
        "received_bytes",
        "refused_count",
        "repeats",
        "replies",
        "replies_undelivered",
        "requests",
        "restarts",
        "retries",
        "stale_replies",
        "stream",
        "unanswered",
    )

    def __init__(self, stream: str, metrics: Metrics, clock: Clock, log: Log) -> None:
        self.stream = stream
        self._metrics, self._clock, self._log = metrics, clock, log
        self.published = self.published_bytes = self.received = self.received_bytes = 0
        self.gaps = self.missing = self.repeats = self.restarts = 0
        self.requests = self.retries = self.unanswered = self.stale_replies = 0
        self.replies = self.replies_undelivered = self.handed_over = self.not_handed_over = self.refused_count = 0
        self._moved: dict[str, int] = {}
        self._named_at_ns: dict[str, int] = {}
        self._unnamed: dict[str, int] = {}
        self.flush()

    def count_gap(self, missing: int) -> None:
        """Count a loss within one run of the producer, in the metrics at once."""
        self.gaps += 1
        self.missing += missing
        self.flush()

    def count_duplicate(self) -> None:
        """Count a message that had been heard before."""
        self.repeats += 1

    def count_producer_restart(self) -> None:
        """Count another start of the producer."""
        self.restarts += 1

    def count_invalid_frame(self, error: InvalidFrame) -> None:
        """Count a refused frame by its flaw, and name it once a minute."""
        self.refused_count += 1
        counter = self._metrics.counter("bus_refused_frames", HELP["refused"], ("stream", "flaw"))
        counter.labels(self.stream, error.defect.value).inc()
        self._unnamed[error.defect] = self._unnamed.get(error.defect, 0) + 1
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._named_at_ns.get(error.defect, -LOG_INTERVAL_NS) >= LOG_INTERVAL_NS:
            self._named_at_ns[error.defect] = now_ns
            count = self._unnamed.pop(error.defect)
            self._log.warning(
                "frame_refused", stream=self.stream, flaw=error.defect.value, detail=error.detail, count=count
            )

    def counts(self) -> dict[str, int]:
        """Give every count by its name."""
        return {name: getattr(self, name) for name in _NAMES} | {"refused": self.refused_count}

    def flush(self) -> None:
        """Add to the metrics what was counted since the last time."""
        for name in _NAMES:
            count = getattr(self, name)
            if (more := count - self._moved.get(name, 0)) or name not in self._moved:
                self._counter(name).labels(self.stream).inc(more)
                self._moved[name] = count

    def _counter(self, name: str) -> Counter:
        return self._metrics.counter(f"bus_{name}", HELP[name], ("stream",))


_NAMES: Final = tuple(name for name in HELP if name != "refused")


class BusCounters:
    """The counts of every stream that a process has to do with."""

    def __init__(self, streams: Iterable[Stream], metrics: Metrics, clock: Clock, log: Log) -> None:
        self._counters = {stream.name: StreamCounters(stream.name, metrics, clock, log) for stream in streams}

    def of(self, stream: Stream) -> StreamCounters:
        """Give the counts of a stream."""
        return self._counters[stream.name]

    def flush(self) -> None:
        """Bring the metrics up to date."""
        for tally in self._counters.values():
            tally.flush()

    def statistics(self) -> tuple[StreamStatistics, ...]:
        """Give all counts as they are now."""
        return tuple(StreamStatistics(name, tally.counts()) for name, tally in self._counters.items())
