"""What `up` sees of the running system: the journals as they grow, the metrics of each component."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from components.contracts.errors import ContractError, UsageError
from components.contracts.topics import DECISIONS, ORDERS, Stream
from components.runtime import journal
from components.runtime.codec import decoder_of
from components.runtime.places import Places
from components.xtrader.crew import Crew
from components.xtrader.explain.newest import Newest
from components.xtrader.exposition import Buckets, Sample, buckets, samples, total
from components.xtrader.tally import Tally

GAPS: Final = "xtrader_bus_gaps_total"
TICK_TO_ORDER: Final = "xtrader_tick_to_order_seconds"


class Follower:
    """Reads a journal from where it stood when the run began."""

    def __init__(self, folder: Path, stream: Stream) -> None:
        self._folder = folder
        self._decode = decoder_of(stream)
        self._next = 1
        for record in self._records():
            self._next = record.sequence + 1

    def new_entries(self) -> Iterator[tuple[int, Any]]:
        """Give what was written since the last look; an entry that is no message of the stream is left to verify."""
        for record in self._records():
            self._next = record.sequence + 1
            try:
                yield record.sequence, self._decode(record.payload)
            except ContractError:
                continue

    def _records(self) -> Iterator[journal.Record]:
        try:
            yield from journal.read(self._folder, self._next)
        except UsageError:
            return  # its owner has not begun it yet


@dataclass(slots=True)
class Meters:
    """The last metrics of each life of each component; what a dead one counted still counts."""

    gaps_before: dict[str, float] = field(default_factory=dict)
    gaps_now: dict[str, float] = field(default_factory=dict)
    latency: Buckets = field(default_factory=Buckets)

    def read(self, name: str, page: str) -> None:
        """Take in one page of one component."""
        found: list[Sample] = samples(page)
        self.gaps_now[name] = total(found, GAPS)
        here = buckets(found, TICK_TO_ORDER)
        if here.counts:
            self.latency = here

    def begin_life(self, name: str) -> None:
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


class Journals:
    """Both journals of the account, counted into one tally and told as stories."""

    def __init__(self, places: Places, tally: Tally, stories: Newest) -> None:
        self._tally, self._stories = tally, stories
        self._orders = Follower(places.journal("execution"), ORDERS)
        self._decisions = Follower(places.journal("risk"), DECISIONS)

    def catch_up(self) -> None:
        """Take in what both have written since the last time; a decision is on disk before its order is."""
        for sequence, event in self._orders.new_entries():
            self._tally.count_order_event(event)
            self._stories.take_event(sequence, event)
        for sequence, message in self._decisions.new_entries():
            self._tally.count_decision(message)
            self._stories.take_decision(sequence, message)


@dataclass(slots=True)
class Seen:
    """Everything that `up` sees of the running system."""

    title: str
    begun_ns: int
    crew: Crew
    tally: Tally
    stories: Newest
    meters: Meters = field(default_factory=Meters)
    ready_ns: int | None = None
    """When every component was ready for the first time."""
