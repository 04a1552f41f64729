"""Minute bars, built from the trades of the minute."""

from decimal import Decimal

from msgspec import Struct

from components.sandbox.core.session import SECOND_NS

MINUTE_NS = 60 * SECOND_NS


class Bar(Struct, frozen=True, kw_only=True):
    """One minute of trades in one symbol."""

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
    """Open the bar of the minute in which a trade happened."""
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
    """Add a trade to a bar."""
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
    """Tell whether the bar's minute has passed."""
    return now_ns >= bar.at_ns + MINUTE_NS
