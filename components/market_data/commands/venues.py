"""Chooses which venues, and which symbols of them, are recorded."""

from collections.abc import Collection

from pydantic import ValidationError

from components.contracts.errors import UsageError
from components.market_data.config import MarketDataConfig, VenueConfig


def select_venues(config: MarketDataConfig, venues: Collection[str], symbols: Collection[str]) -> list[VenueConfig]:
    """Give the tables of the venues that are wanted; symbols that are named take the place of the configured ones."""
    wanted = {venue.upper() for venue in venues} | {_venue_of(symbol) for symbol in symbols}
    venue_tables(config, wanted)
    tables = _all_tables(config)
    if symbols:
        tables = {venue: _with_symbols(table, symbols) for venue, table in tables.items()}
    chosen = [table for venue, table in tables.items() if table.symbols and (not wanted or venue in wanted)]
    if not chosen:
        raise UsageError("no symbol to record: name one with --symbol, or configure them")
    return chosen


def venue_tables(config: MarketDataConfig, venues: Collection[str]) -> list[VenueConfig]:
    """Give the tables of these venues, listened to or not."""
    tables, wanted = _all_tables(config), {venue.upper() for venue in venues}
    if strange := sorted(wanted - tables.keys()):
        raise UsageError(f"{', '.join(strange)}: no such venue; there is {', '.join(tables)}")
    return [table for venue, table in tables.items() if venue in wanted]


def _all_tables(config: MarketDataConfig) -> dict[str, VenueConfig]:
    return {table.VENUE: table for _, table in config if isinstance(table, VenueConfig)}


def _venue_of(symbol: str) -> str:
    return symbol.partition(":")[0].upper()


def _with_symbols(table: VenueConfig, symbols: Collection[str]) -> VenueConfig:
    own = tuple(dict.fromkeys(symbol.upper() for symbol in symbols if _venue_of(symbol) == table.VENUE))
    try:
        return type(table).model_validate(table.model_dump() | {"symbols": own})
    except ValidationError as error:
        raise UsageError(error.errors()[0]["msg"]) from None
