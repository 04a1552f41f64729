"""Instruments of a simulated venue: the facts from which each venue writes its own metadata."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

ONE = Decimal(1)
EXPIRY_2026_MS = 1_798_185_600_000  # 25 December 2026, 08:00 UTC: when the dated contracts of all venues settle


class InstrumentKind(StrEnum):
    """Kinds of instruments."""

    SPOT = "spot"
    PERPETUAL = "perpetual"
    FUTURE = "future"
    OPTION = "option"


class Instrument(Struct, frozen=True, kw_only=True):
    """One instrument: its name at the venue, its currencies, tick and lot sizes, and its initial price."""

    symbol: str
    base: str
    quote: str
    settle: str = ""
    kind: InstrumentKind = InstrumentKind.SPOT
    is_inverse: bool = False
    tick: Decimal
    lot: Decimal
    contract: Decimal = ONE  # value of one contract in base currency or, for an inverse contract, in quote currency
    price: Decimal
    expiry_ms: int = 0
    strike: Decimal | None = None
    option_type: str | None = None  # "call" or "put"


def by_symbol(instruments: Iterable[Instrument]) -> dict[str, Instrument]:
    """Return the instruments by the venue's own names."""
    return {one.symbol: one for one in instruments}
