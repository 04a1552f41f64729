"""What is traded at a venue: its names, its steps, and what one unit of its quantities is worth."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from components.contracts.errors import UsageError
from components.contracts.values import Symbol, Venue


class InstrumentType(StrEnum):
    """What sort of thing an instrument is."""

    STOCK = "stock"
    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"


class TickBand(Struct, frozen=True, gc=False):
    """Above this price the tick is this."""

    above: Decimal
    tick: Decimal


class Instrument(Struct, frozen=True, kw_only=True):
    """One instrument, from its venue's own metadata."""

    venue: Venue
    symbol: Symbol
    """Unified: BINANCE:BTC-USDT, DERIBIT:BTC-USD-261225-80000-P; a plain name for a stock."""
    venue_symbol: str
    instrument_type: InstrumentType
    base: str
    quote: str
    settle: str
    is_inverse: bool = False
    """Quantities count the quote currency; one of the base currency is quantity / price."""
    contract_multiplier: Decimal = Decimal(1)
    """What one of the venue's quantity is worth: contract value x multiplier, 1 where it counts coins already."""
    tick: Decimal
    lot: Decimal
    tick_bands: tuple[TickBand, ...] = ()
    quantity_min: Decimal = Decimal(0)
    expires_at_ns: int = 0
    strike: Decimal = Decimal(0)
    is_call: bool = False
    is_trading: bool = True
    may_cross: bool = False
    """In an auction the venue's own best bid may stand above its best ask."""

    def quantity(self, venue_quantity: Decimal) -> Decimal:
        """Turn a quantity of the venue into coins, or into quote currency where the instrument is inverse."""
        return venue_quantity * self.contract_multiplier

    def base_quantity(self, venue_quantity: Decimal, price: Decimal) -> Decimal:
        """Turn a quantity of the venue into base currency."""
        quantity = self.quantity(venue_quantity)
        return quantity / price if self.is_inverse else quantity


class InstrumentRegistry:
    """The instruments of one venue, found by either name; never by guessing at the parts of one."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self.by_symbol: dict[Symbol, Instrument] = {}
        self.by_venue_symbol: dict[str, Instrument] = {}
        for one in instruments:
            self.by_symbol[one.symbol] = one
            self.by_venue_symbol[one.venue_symbol] = one

    def __iter__(self) -> Iterator[Instrument]:
        """Go through all of them."""
        return iter(self.by_symbol.values())

    def __len__(self) -> int:
        """Count them."""
        return len(self.by_symbol)

    def require(self, symbol: Symbol) -> Instrument:
        """Give the instrument of a unified symbol; a usage error names what is near where there is none."""
        found = self.by_symbol.get(symbol)
        if found is None:
            base = symbol.partition("-")[0]
            near = [one for one in self.by_symbol if one.startswith(base)][:5] or list(self.by_symbol)[:5]
            raise UsageError(f"{symbol}: no such instrument; there is {', '.join(near) or 'none at all'}")
        return found


def unified_symbol(venue: Venue, base: str, quote: str, *suffix: str) -> Symbol:
    """Build the unified symbol from the venue's own words for its parts."""
    return Symbol(f"{venue}:{'-'.join((base, quote, *suffix))}".upper())
