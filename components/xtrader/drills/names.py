"""The unified names of the sandbox's instruments, and what their quantities are worth, from its listings alone.

It is worked out here once more, beside market_data, so that a mistake there is not repeated by its judge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from components.contracts.values import Symbol

QUANTITIES_IN_COINS: Final = frozenset({"binance", "binanceum", "deribit"})
"""These venues quote quantities in coins or dollars; only the others count contracts."""


@dataclass(frozen=True, slots=True)
class ListedInstrument:
    """One instrument at its venue."""

    venue: str
    native: str
    unit: Decimal


def instruments_by_symbol(venues: Mapping[str, Any]) -> dict[Symbol, ListedInstrument]:
    """Name everything that the venues list."""
    return {
        _symbol(venue, listing): ListedInstrument(venue, listing["symbol"], _unit(venue, listing))
        for venue, told in venues.items()
        for listing in told["listings"]
    }


def _symbol(venue: str, listing: Mapping[str, Any]) -> Symbol:
    # An option that is paid in its own coin is still one on the coin's price in dollars.
    quote = "USD" if listing["quote"] == listing["base"] else listing["quote"]
    parts = [listing["base"], quote, *_contract_suffix(listing)]
    return Symbol(f"{venue}:{'-'.join(parts)}".upper())


def _contract_suffix(listing: Mapping[str, Any]) -> list[str]:
    day = datetime.fromtimestamp(listing["expiry_ms"] / 1e3, UTC).strftime("%y%m%d")
    match listing["kind"]:
        case "perpetual":
            return ["PERP"]
        case "future":
            return [day]
        case "option":
            return [day, str(listing["strike"]), "C" if listing["option_type"] == "call" else "P"]
        case _:
            return []


def _unit(venue: str, listing: Mapping[str, Any]) -> Decimal:
    return Decimal(1) if venue in QUANTITIES_IN_COINS or listing["kind"] == "spot" else Decimal(listing["contract"])
