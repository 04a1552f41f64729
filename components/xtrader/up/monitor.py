"""What `up` sees of the running system: the journals as they grow, the metrics of each component."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from components.contracts.errors import ProtocolError, UsageError
from components.contracts.topics import DECISIONS, ORDERS, Stream
from components.runtime import journal
from components.runtime.codec import message_decoder
from components.runtime.places import Paths
from components.xtrader.crew import Supervisor
from components.xtrader.explain.newest import RecentHistories
from components.xtrader.exposition import Histogram, MetricSample, histogram_of, parse_metrics, sum_samples
from components.xtrader.tally import RunStatistics

GAPS_METRIC: Final = "xtrader_bus_gaps_total"
TICK_TO_ORDER_METRIC: Final = "xtrader_tick_to_order_seconds"


class JournalTail:
    """Reads a journal from where it stood when the run began."""

    def __init__(self, folder: Path, stream: Stream) -> None:
        self._folder = folder
        self._decode = message_decoder(stream)
        self._next_sequence = 1
        for record in self._records():
            self._next_sequence = record.sequence + 1

    def new_entries(self) -> Iterator[tuple[int, Any]]:
        """Give what was written since the last look; an entry that is no message of the stream is left to verify."""
        for record in self._records():
            self._next_sequence = record.sequence + 1
            try:
                yield record.sequence, self._decode(record.payload)
            except ProtocolError:
                continue

    def _records(self) -> Iterator[journal.Record]:
        try:
            yield from journal.read_records(self._folder, self._next_sequence)
        except UsageError:
            return  # its owner has not begun it yet


@dataclass(slots=True)
class MetricsMonitor:
    """The last metrics of each life of each component; what a dead one counted still counts."""

    gaps_before: dict[str, float] = field(default_factory=dict)
    gaps_now: dict[str, float] = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)

    def update(self, name: str, page: str) -> None:
        """Take in one page of one component."""
        found: list[MetricSample] = parse_metrics(page)
        self.gaps_now[name] = sum_samples(found, GAPS_METRIC)
        here = histogram_of(found, TICK_TO_ORDER_METRIC)
        if here.counts:
            self.latency = here

    def on_restart(self, name: str) -> None:
        """Keep what the life before counted; counters begin again at zero."""
        self.gaps_before[name] = self.gaps_before.get(name, 0.0) + self.gaps_now.pop(name, 0.0)

    @property
    def gaps(self) -> int:
        """Every gap that any component saw on the bus in this run."""
        return int(sum(self.gaps_before.values()) + sum(self.gaps_now.values()))

    def latency_us(self) -> dict[str, dict[str, float]]:
        """Give quantiles of tick-to-order, from the decoded venue frame to the intent on execution's disk."""
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        found = {name: self.latency.quantile(share) for name, share in shares.items()}
        return {"tick_to_order": {name: round(value * 1e6, 1) for name, value in found.items() if value is not None}}


class JournalMonitor:
    """Both journals of the account, counted into one tally and told as stories."""

    def __init__(self, paths: Paths, statistics: RunStatistics, histories: RecentHistories) -> None:
        self._statistics, self._histories = statistics, histories
        self._orders = JournalTail(paths.journal("execution"), ORDERS)
        self._decisions = JournalTail(paths.journal("risk"), DECISIONS)

    def poll(self) -> None:
        """Take in what both have written since the last time; a decision is on disk before its order is."""
        for sequence, event in self._orders.new_entries():
            self._statistics.count_order_event(event)
            self._histories.add_order_event(sequence, event)
        for sequence, message in self._decisions.new_entries():
            self._statistics.count_decision(message)
            self._histories.add_decision(sequence, message)


@dataclass(slots=True)
class RunMonitor:
    """Everything that `up` sees of the running system."""

    title: str
    started_at_ns: int
    supervisor: Supervisor
    statistics: RunStatistics
    histories: RecentHistories
    metrics: MetricsMonitor = field(default_factory=MetricsMonitor)
    ready_at_ns: int | None = None
    """When every component was ready for the first time."""
