"""Positions counted from the opening and our own record of fills."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from components.contracts.orders import Filled, VenuePosition
from components.contracts.values import ZERO, Symbol, format_decimal

Positions = Mapping[Symbol, Decimal]
"""Quantity by symbol, negative when short; a flat symbol is not there."""


def quantities_by_symbol(positions: Iterable[VenuePosition]) -> dict[Symbol, Decimal]:
    """Begin with what the venue holds."""
    return {position.symbol: position.quantity for position in positions if position.quantity != ZERO}


def positions_after(positions: Positions, fill: Filled) -> dict[Symbol, Decimal]:
    """Give the positions after a fill."""
    after = dict(positions)
    after[fill.symbol] = after.get(fill.symbol, ZERO) + fill.side.sign * fill.quantity
    if after[fill.symbol] == ZERO:
        del after[fill.symbol]
    return after


def position_differences(ours: Positions, venue: Iterable[VenuePosition]) -> tuple[str, ...]:
    """Name every symbol where the venue holds something else than we counted."""
    theirs = quantities_by_symbol(venue)
    return tuple(
        f"{symbol}: {format_decimal(ours.get(symbol, ZERO))} counted, {format_decimal(theirs.get(symbol, ZERO))} at the venue"
        for symbol in sorted({*ours, *theirs})
        if ours.get(symbol, ZERO) != theirs.get(symbol, ZERO)
    )
