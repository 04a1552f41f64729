"""Recent quotes, trades and minute bars of each symbol, longer bars built from them, and paged queries."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.alpaca.core.matching import Quote
from components.sandbox.alpaca.core.price_walk import MarketTrade
from components.sandbox.alpaca.core.session import NEW_YORK, new_york_time
from components.sandbox.numerics import DAY_NS, SECOND_NS

MINUTE_NS = 60 * SECOND_NS
# At most about two megabytes per symbol, so that a sandbox can run for weeks.
QUOTES_MAX = 2_000  # over six minutes at speed 1
TRADES_MAX = 2_000  # half an hour at speed 1
MINUTE_BARS_MAX = 3_000  # two days, so that the previous day is complete


class Bar(Struct, frozen=True, kw_only=True):
    """A bar; finished minutes are stored, longer bars are built from them."""

    symbol: str
    at_ns: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    count: int
    value: Decimal

    @property
    def average(self) -> Decimal:
        """Return the volume-weighted average price."""
        return (self.value / self.volume).quantize(Decimal("0.0001"))


def start_bar(symbol: str, price: Decimal, size: int, at_ns: int) -> Bar:
    """Return a new minute bar with its first trade."""
    start = at_ns // MINUTE_NS * MINUTE_NS
    return Bar(
        symbol=symbol,
        at_ns=start,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=size,
        count=1,
        value=price * size,
    )


def extend_bar(bar: Bar, price: Decimal, size: int) -> Bar:
    """Return the bar with one more trade."""
    return Bar(
        symbol=bar.symbol,
        at_ns=bar.at_ns,
        open=bar.open,
        high=max(bar.high, price),
        low=min(bar.low, price),
        close=price,
        volume=bar.volume + size,
        count=bar.count + 1,
        value=bar.value + price * size,
    )


def is_complete(bar: Bar, now_ns: int) -> bool:
    """Return whether the bar's minute is over."""
    return now_ns >= bar.at_ns + MINUTE_NS


class TradeRecord(Struct, frozen=True):
    """A simulated trade with its number and time."""

    trade: MarketTrade
    number: int
    at_ns: int


HistoryRow: TypeAlias = Quote | TradeRecord | Bar


@dataclass(slots=True)
class SymbolHistory:
    """Recent quotes, trades and bars of one symbol; bounded, the oldest are dropped first."""

    quotes: deque[Quote] = field(default_factory=lambda: deque(maxlen=QUOTES_MAX))
    trades: deque[TradeRecord] = field(default_factory=lambda: deque(maxlen=TRADES_MAX))
    minute_bars: deque[Bar] = field(default_factory=lambda: deque(maxlen=MINUTE_BARS_MAX))
    current_minute: Bar | None = None
    """The minute in progress."""

    def bars(self, span_ns: int) -> list[Bar]:
        """Return longer bars built from finished minutes, aligned to midnight in New York."""
        return _aggregate_bars(self.minute_bars, lambda bar: bar_start_ns(bar.at_ns, span_ns))

    def daily_bars(self) -> list[Bar]:
        """Return one bar per day; the current day includes the minute in progress."""
        running = [] if self.current_minute is None else [self.current_minute]
        return _aggregate_bars([*self.minute_bars, *running], lambda bar: bar_start_ns(bar.at_ns, DAY_NS))


def bar_start_ns(at_ns: int, span_ns: int) -> int:
    """Return the start of the bar that contains this time."""
    midnight = datetime.combine(new_york_time(at_ns).date(), time(), NEW_YORK)
    midnight_ns = int(midnight.timestamp()) * SECOND_NS
    # A day of 25 hours (end of daylight saving time) is one bar.
    return midnight_ns if span_ns >= DAY_NS else midnight_ns + (at_ns - midnight_ns) // span_ns * span_ns


def _aggregate_bars(bars: Iterable[Bar], start_ns: Callable[[Bar], int]) -> list[Bar]:
    merged: dict[int, Bar] = {}
    for bar in bars:
        start = start_ns(bar)
        merged[start] = _merge_bars(merged[start], bar) if start in merged else replace(bar, at_ns=start)
    return list(merged.values())


def _merge_bars(first: Bar, second: Bar) -> Bar:
    return replace(
        first,
        high=max(first.high, second.high),
        low=min(first.low, second.low),
        close=second.close,
        volume=first.volume + second.volume,
        count=first.count + second.count,
        value=first.value + second.value,
    )


class PageRequest(Struct, frozen=True, kw_only=True):
    """Parameters of one page; both time bounds are inclusive."""

    start_ns: int
    end_ns: int
    limit: int
    ascending: bool = True
    after_row: tuple[str, int] | None = None
    """Symbol and time of the last row of the previous page."""


class HistoryPage(Struct, frozen=True):
    """Rows of one page by symbol, and the token of the next page if there is one."""

    rows: dict[str, list[HistoryRow]]
    token: str | None


def select_page(histories: Mapping[str, Sequence[HistoryRow]], request: PageRequest) -> HistoryPage:
    """Return one page: symbols in alphabetical order, the rows of each in order of time."""
    rows: dict[str, list[HistoryRow]] = {}
    remaining, last = request.limit, request.after_row
    for symbol in sorted(histories):
        found = _matching_rows(symbol, histories[symbol], request)
        if found and not remaining:
            return HistoryPage(rows, _page_token(last))
        if found:
            rows[symbol] = found[:remaining]
            remaining -= len(rows[symbol])
            last = (symbol, rows[symbol][-1].at_ns)
        if len(found) > len(rows.get(symbol, ())):
            return HistoryPage(rows, _page_token(last))
    return HistoryPage(rows, None)


def parse_page_token(text: str) -> tuple[str, int] | None:
    """Return where the previous page ended; None for a text that is not a valid token."""
    try:
        symbol, _, at_ns = urlsafe_b64decode(text.encode()).decode().partition("|")
        return symbol, int(at_ns)
    except ValueError:
        return None


def _matching_rows(symbol: str, rows: Sequence[HistoryRow], request: PageRequest) -> list[HistoryRow]:
    if request.after_row is not None and symbol < request.after_row[0]:
        return []
    found = [row for row in rows if request.start_ns <= row.at_ns <= request.end_ns]
    if not request.ascending:
        found.reverse()
    if request.after_row is None or symbol != request.after_row[0]:
        return found
    last_ns = request.after_row[1]
    return [row for row in found if (row.at_ns > last_ns if request.ascending else row.at_ns < last_ns)]


def _page_token(last: tuple[str, int] | None) -> str | None:
    return None if last is None else urlsafe_b64encode(f"{last[0]}|{last[1]}".encode()).decode()
