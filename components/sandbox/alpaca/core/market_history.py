"""What the market has said since the venue opened, kept to a bound for each symbol."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.core.bars import Bar
from components.sandbox.core.market import MarketTrade
from components.sandbox.core.matching import Quote
from components.sandbox.core.session import NEW_YORK, SECOND_NS, new_york_time

# About two megabytes a symbol when full: this venue has to stay light for weeks.
QUOTES_MAX = 2_000  # over six minutes at speed 1
TRADES_MAX = 2_000  # half an hour at speed 1
MINUTE_BARS_MAX = 3_000  # two days, so that yesterday is whole
DAY_NS = 86_400 * SECOND_NS


class TradeRecord(Struct, frozen=True):
    """A trade of the others with its number and its time."""

    trade: MarketTrade
    number: int
    at_ns: int


HistoryRow: TypeAlias = Quote | TradeRecord | Bar


@dataclass(slots=True)
class SymbolHistory:
    """One symbol's past; what no longer fits is forgotten, oldest first."""

    quotes: deque[Quote] = field(default_factory=lambda: deque(maxlen=QUOTES_MAX))
    trades: deque[TradeRecord] = field(default_factory=lambda: deque(maxlen=TRADES_MAX))
    minute_bars: deque[Bar] = field(default_factory=lambda: deque(maxlen=MINUTE_BARS_MAX))
    current_minute: Bar | None = None
    """The minute that is not over yet."""

    def bars(self, span_ns: int) -> list[Bar]:
        """Put finished minutes together to longer bars, counted from midnight in New York."""
        return _aggregate_bars(self.minute_bars, lambda bar: bar_start_ns(bar.at_ns, span_ns))

    def daily_bars(self) -> list[Bar]:
        """Give a bar for each day, the one that is under way with all it has so far."""
        running = [] if self.current_minute is None else [self.current_minute]
        return _aggregate_bars([*self.minute_bars, *running], lambda bar: bar_start_ns(bar.at_ns, DAY_NS))


def bar_start_ns(at_ns: int, span_ns: int) -> int:
    """Return when the span of a day began that holds this moment."""
    midnight = datetime.combine(new_york_time(at_ns).date(), time(), NEW_YORK)
    midnight_ns = int(midnight.timestamp()) * SECOND_NS
    # A day of 25 hours still is one day.
    return midnight_ns if span_ns >= DAY_NS else midnight_ns + (at_ns - midnight_ns) // span_ns * span_ns


def _aggregate_bars(bars: Iterable[Bar], start_ns: Callable[[Bar], int]) -> list[Bar]:
    made: dict[int, Bar] = {}
    for bar in bars:
        start = start_ns(bar)
        made[start] = _merge_bars(made[start], bar) if start in made else replace(bar, at_ns=start)
    return list(made.values())


def _merge_bars(first: Bar, then: Bar) -> Bar:
    return replace(
        first,
        high=max(first.high, then.high),
        low=min(first.low, then.low),
        close=then.close,
        volume=first.volume + then.volume,
        count=first.count + then.count,
        value=first.value + then.value,
    )
