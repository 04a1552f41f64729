"""What `up` observes of the running system: the journals as they grow, and the metrics of each component."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from components.contracts.decisions import Decision, DecisionMessage
from components.contracts.errors import ProtocolError, UsageError
from components.contracts.orders import Filled, OrderMessage, OrderSending, OrderState, OrderUpdated
from components.contracts.streams import DECISIONS, ORDERS, Stream
from components.contracts.values import ClientOrderId
from components.runtime.bus.codec import message_decoder
from components.runtime.journal.format import Record
from components.runtime.journal.reader import read_records
from components.runtime.paths import Paths
from components.xtrader.explain.history import RecentHistories
from components.xtrader.supervisor.supervisor import Supervisor

_SAMPLE: Final = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
GAPS_METRIC: Final = "xtrader_bus_gaps_total"
TICK_TO_ORDER_METRIC: Final = "xtrader_tick_to_order_seconds"


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One sample of a /metrics page."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts by upper bound, added over all labels."""

    counts: Mapping[float, float] = field(default_factory=dict)

    def quantile(self, share: float) -> float | None:
        """Return the quantile, interpolated linearly inside its bucket; None if nothing was counted."""
        bounds = sorted(self.counts)
        if not bounds or self.counts[bounds[-1]] == 0:
            return None
        target = share * self.counts[bounds[-1]]
        lower, below = 0.0, 0.0
        for bound in bounds:
            count = self.counts[bound]
            if count >= target and count > below:
                upper = lower if math.isinf(bound) else bound
                return lower + (upper - lower) * (target - below) / (count - below)
            lower, below = bound, count
        return lower


def parse_metrics(page: str) -> list[MetricSample]:
    """Return every sample of the page; comments are skipped."""
    matches = (_SAMPLE.match(line) for line in page.splitlines() if not line.startswith("#"))
    return [
        MetricSample(match["name"], dict(_LABEL.findall(match["labels"] or "")), float(match["value"]))
        for match in matches
        if match
    ]


def sum_samples(samples: list[MetricSample], name: str) -> float:
    """Return the sum of a counter over all its labels."""
    return sum(sample.value for sample in samples if sample.name == name)


def histogram_of(samples: list[MetricSample], name: str) -> Histogram:
    """Return one histogram, added over all its labels."""
    counts: dict[float, float] = {}
    for sample in samples:
        if sample.name == f"{name}_bucket":
            bound = float(sample.labels["le"])
            counts[bound] = counts.get(bound, 0.0) + sample.value
    return Histogram(counts)


@dataclass(slots=True)
class RunStatistics:
    """Orders, fills and decisions since this run started."""

    submitted: set[ClientOrderId] = field(default_factory=set)
    states: dict[ClientOrderId, OrderState] = field(default_factory=dict)
    fills: int = 0
    first_fill: Filled | None = None
    approved_signals: int = 0
    refused_signals: int = 0
    refusals_by_check: Counter[str] = field(default_factory=Counter)

    def count_order_event(self, message: OrderMessage) -> None:
        """Count one record of execution's journal."""
        match message:
            case OrderSending(client_order_id=name):
                self.submitted.add(name)
                self.states[name] = OrderState.SENDING
            case OrderUpdated(client_order_id=name, state=state):
                self.states[name] = state
            case Filled():
                self.fills += 1
                self.first_fill = self.first_fill or message
            case _:
                return

    def count_decision(self, message: DecisionMessage) -> None:
        """Count one record of risk's log."""
        if not isinstance(message, Decision):
            return
        if message.allowed:
            self.approved_signals += 1
        else:
            self.refused_signals += 1
        self.refusals_by_check.update(str(one.name) for one in message.failed_checks)

    def order_counts(self) -> dict[str, int]:
        """Return the number of orders by outcome; `unknown` counts those that are unknown now."""
        by_state = Counter(self.states.values())
        return {
            "submitted": len(self.submitted),
            "filled": by_state[OrderState.FILLED],
            "rejected": by_state[OrderState.REJECTED],
            "unknown": by_state[OrderState.UNKNOWN],
        }


class JournalTail:
    """Reads the records that are appended to a journal after the tail was created."""

    def __init__(self, folder: Path, stream: Stream) -> None:
        self._folder = folder
        self._decode = message_decoder(stream)
        self._next_sequence = 1
        for record in self._records():
            self._next_sequence = record.sequence + 1

    def new_entries(self) -> Iterator[tuple[int, Any]]:
        """Yield the records since the last call.

        A record that is no message of the stream is skipped; `verify` reports it.
        """
        for record in self._records():
            self._next_sequence = record.sequence + 1
            try:
                yield record.sequence, self._decode(record.payload)
            except ProtocolError:
                continue

    def _records(self) -> Iterator[Record]:
        try:
            yield from read_records(self._folder, self._next_sequence)
        except UsageError:
            return  # its owner has not created it yet


@dataclass(slots=True)
class MetricsMonitor:
    """The last metrics of each run of each component; the counts of an exited process are kept."""

    gaps_before: dict[str, float] = field(default_factory=dict)
    gaps_now: dict[str, float] = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)

    def update(self, name: str, page: str) -> None:
        """Apply one metrics page of one component."""
        samples = parse_metrics(page)
        self.gaps_now[name] = sum_samples(samples, GAPS_METRIC)
        latency = histogram_of(samples, TICK_TO_ORDER_METRIC)
        if latency.counts:
            self.latency = latency

    def on_restart(self, name: str) -> None:
        """Keep the counts of the exited process; the new one counts from zero."""
        self.gaps_before[name] = self.gaps_before.get(name, 0.0) + self.gaps_now.pop(name, 0.0)

    @property
    def gaps(self) -> int:
        """The number of gaps that all components detected on the bus in this run."""
        return int(sum(self.gaps_before.values()) + sum(self.gaps_now.values()))

    def latency_us(self) -> dict[str, dict[str, float]]:
        """Return quantiles of tick-to-order: from the decoded venue frame to the durable intent at execution."""
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
        quantiles = {name: self.latency.quantile(share) for name, share in shares.items()}
        return {
            "tick_to_order": {name: round(value * 1e6, 1) for name, value in quantiles.items() if value is not None}
        }


class JournalMonitor:
    """Follows both journals of the account and updates statistics and histories."""

    def __init__(self, paths: Paths, statistics: RunStatistics, histories: RecentHistories) -> None:
        self._statistics, self._histories = statistics, histories
        self._orders = JournalTail(paths.journal("execution"), ORDERS)
        self._decisions = JournalTail(paths.journal("risk"), DECISIONS)

    def poll(self) -> None:
        """Apply the records since the last poll.

        Execution's journal is read first: a decision is durable before its order is.
        """
        for sequence, event in self._orders.new_entries():
            self._statistics.count_order_event(event)
            self._histories.add_order_event(sequence, event)
        for sequence, message in self._decisions.new_entries():
            self._statistics.count_decision(message)
            self._histories.add_decision(sequence, message)


@dataclass(slots=True)
class RunMonitor:
    """Everything that `up` observes of the running system."""

    title: str
    started_at_ns: int
    supervisor: Supervisor
    statistics: RunStatistics
    histories: RecentHistories
    metrics: MetricsMonitor = field(default_factory=MetricsMonitor)
    ready_at_ns: int | None = None
    """When every component was ready for the first time."""
