"""What a venue lists, in the facts that every venue's own metadata is written from."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

ONE = Decimal(1)


class InstrumentKind(StrEnum):
    """What can be listed."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"


class Instrument(Struct, frozen=True, kw_only=True):
    """One instrument: its name at its venue, its coins, its steps, and where its price begins."""

    symbol: str
    base: str
    quote: str
    settle: str = ""
    kind: InstrumentKind = InstrumentKind.SPOT
    is_inverse: bool = False
    tick: Decimal
    lot: Decimal
    contract: Decimal = ONE  # what one contract is worth, in base coin or, where inverse, in quote currency
    price: Decimal
    expiry_ms: int = 0
    strike: Decimal | None = None
    option_type: str | None = None  # "call" or "put"


def by_symbol(instruments: Iterable[Instrument]) -> dict[str, Instrument]:
    """Lay listings out by the venue's own names."""
    return {one.symbol: one for one in instruments}
