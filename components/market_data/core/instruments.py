"""Instruments of a venue: names, tick and lot sizes, and the value of one unit of quantity."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from components.contracts.errors import UsageError
from components.contracts.values import Symbol, Venue


class InstrumentType(StrEnum):
    """The type of an instrument."""

    STOCK = "stock"
    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"


class TickBand(Struct, frozen=True, gc=False):
    """The tick size that applies above a price."""

    above: Decimal
    tick: Decimal


class Instrument(Struct, frozen=True, kw_only=True):
    """One instrument as described by its venue's metadata."""

    venue: Venue
    symbol: Symbol
    """Unified: BINANCE:BTC-USDT, DERIBIT:BTC-USD-261225-80000-P; a plain name for a stock."""
    venue_symbol: str
    instrument_type: InstrumentType
    base: str
    quote: str
    settle: str
    is_inverse: bool = False
    """Quantities are in the quote currency; the base quantity is quantity / price."""
    contract_multiplier: Decimal = Decimal(1)
    """The value of one unit of the venue's quantity: contract value x multiplier, 1 if quantities are coins already."""
    tick: Decimal
    lot: Decimal
    tick_bands: tuple[TickBand, ...] = ()
    quantity_min: Decimal = Decimal(0)
    expires_at_ns: int = 0
    strike: Decimal = Decimal(0)
    is_call: bool = False
    is_trading: bool = True
    may_cross: bool = False
    """During an auction the venue's own best bid may be above its best ask."""

    def quantity(self, venue_quantity: Decimal) -> Decimal:
        """Convert a venue quantity to coins, or to quote currency if the instrument is inverse."""
        return venue_quantity * self.contract_multiplier

    def base_quantity(self, venue_quantity: Decimal, price: Decimal) -> Decimal:
        """Convert a venue quantity to base currency."""
        quantity = self.quantity(venue_quantity)
        return quantity / price if self.is_inverse else quantity


class InstrumentRegistry:
    """The instruments of one venue by unified symbol and by venue symbol; symbols are looked up, never parsed."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.by_symbol: dict[Symbol, Instrument] = {}
        self.by_venue_symbol: dict[str, Instrument] = {}
        for one in instruments:
            self.by_symbol[one.symbol] = one
            self.by_venue_symbol[one.venue_symbol] = one

    def __iter__(self) -> Iterator[Instrument]:
        """Iterate over all instruments."""
        return iter(self.by_symbol.values())

    def __len__(self) -> int:
        """Return the number of instruments."""
        return len(self.by_symbol)

    def require(self, symbol: Symbol) -> Instrument:
        """Return the instrument of a unified symbol; raise a usage error that names similar symbols if none has it."""
        found = self.by_symbol.get(symbol)
        if found is None:
            base = symbol.partition("-")[0]
            near = [one for one in self.by_symbol if one.startswith(base)][:5] or list(self.by_symbol)[:5]
            raise UsageError(f"{symbol}: no such instrument; there is {', '.join(near) or 'none at all'}")
        return found


def unified_symbol(venue: Venue, base: str, quote: str, *suffix: str) -> Symbol:
    """Build the unified symbol from the venue's own names of its parts."""
    return Symbol(f"{venue}:{'-'.join((base, quote, *suffix))}".upper())
