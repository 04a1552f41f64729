"""Reads what a component's /metrics page says: totals, and quantiles of a histogram.

Counts what this run did, from the records of the two journals.

What `up` sees of the running system: the journals as they grow, the metrics of each component.
"""

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
from components.runtime.journal import format, reader
from components.runtime.paths import Paths
from components.xtrader.explain.history import RecentHistories
from components.xtrader.supervisor.supervisor import Supervisor

_LINE: Final = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")


_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One line of the page."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram's cumulative counts by upper bound; adding joins processes and runs."""

    counts: Mapping[float, float] = field(default_factory=dict)

    def quantile(self, share: float) -> float | None:
        """Give the value below which this share lies, linear inside its bucket; None when nothing was counted."""
        bounds = sorted(self.counts)
        if not bounds or self.counts[bounds[-1]] == 0:
            return None
        wanted = share * self.counts[bounds[-1]]
        lower, below = 0.0, 0.0
        for bound in bounds:
            here = self.counts[bound]
            if here >= wanted and here > below:
                upper = lower if math.isinf(bound) else bound
                return lower + (upper - lower) * (wanted - below) / (here - below)
            lower, below = bound, here
        return lower


def parse_metrics(page: str) -> list[MetricSample]:
    """Read every sample of the page; comments are skipped."""
    found = (_LINE.match(line) for line in page.splitlines() if not line.startswith("#"))
    return [
        MetricSample(match["name"], dict(_LABEL.findall(match["labels"] or "")), float(match["value"]))
        for match in found
        if match
    ]


def sum_samples(samples: list[MetricSample], name: str) -> float:
    """Add a counter up over all its labels."""
    return sum(sample.value for sample in samples if sample.name == name)


def histogram_of(samples: list[MetricSample], name: str) -> Histogram:
    """Collect one histogram over all its labels."""
    counts: dict[float, float] = {}
    for sample in samples:
        if sample.name == f"{name}_bucket":
            bound = float(sample.labels["le"])
            counts[bound] = counts.get(bound, 0.0) + sample.value
    return Histogram(counts)


@dataclass(slots=True)
class RunStatistics:
    """Orders, fills and verdicts since this run began."""

    submitted: set[ClientOrderId] = field(default_factory=set)
    states: dict[ClientOrderId, OrderState] = field(default_factory=dict)
    fills: int = 0
    first_fill: Filled | None = None
    approved_signals: int = 0
    refused_signals: int = 0
    refusals_by_check: Counter[str] = field(default_factory=Counter)

    def count_order_event(self, message: OrderMessage) -> None:
        """Take in one record of execution's journal."""
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
        """Take in one record of risk's log."""
        if not isinstance(message, Decision):
            return
        if message.allowed:
            self.approved_signals += 1
        else:
            self.refused_signals += 1
        self.refusals_by_check.update(str(one.name) for one in message.failed_checks)

    def order_counts(self) -> dict[str, int]:
        """Count the orders by what became of them; unknown is what is unknown now."""
        became = Counter(self.states.values())
        return {
            "submitted": len(self.submitted),
            "filled": became[OrderState.FILLED],
            "rejected": became[OrderState.REJECTED],
            "unknown": became[OrderState.UNKNOWN],
        }


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

    def _records(self) -> Iterator[format.Record]:
        try:
            yield from reader.read_records(self._folder, self._next_sequence)
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
