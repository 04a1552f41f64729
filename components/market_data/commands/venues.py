"""Selects venues and symbols from command options, resolves their secrets, and lists instruments.

While `xtrader up` runs, its settings override the configuration files here too.
"""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec.structs import asdict
from pydantic import ValidationError

from components.contracts.errors import PeerUnreachable, UsageError
from components.contracts.values import format_decimal
from components.market_data.config import MarketDataConfig, VenueConfig
from components.market_data.core.instruments import Instrument
from components.market_data.venues.metrics import VenueMetrics
from components.market_data.venues.registry import SecretResolver, create_adapter
from components.market_data.venues.rest_client import RestClient, RestFailure
from components.runtime.clock import SystemClock
from components.runtime.config.secrets import resolve
from components.runtime.config.settings import ConfigLayers, read_layers_with_overlay
from components.runtime.logs import redact
from components.runtime.metrics import Metrics

SHOWN_FIELDS: Final = (
    "symbol",
    "venue_symbol",
    "instrument_type",
    "base",
    "quote",
    "settle",
    "is_inverse",
    "contract_multiplier",
    "tick",
    "lot",
    "is_trading",
)


def venues_to_query(venues: Sequence[str]) -> tuple[list[VenueConfig], SecretResolver]:
    """Return the tables of these venues, or of those with configured symbols, and the resolver of their secrets."""
    layers = read_layers_with_overlay()
    settings = layers.validate({"market_data": MarketDataConfig})
    config = settings.table("market_data", MarketDataConfig)
    tables = venue_tables(config, venues) if venues else list(config.venues)
    if not tables:
        raise UsageError("no crypto venue is configured: name one with --venue")
    return tables, secret_resolver(layers)


def venues_to_record(venues: Sequence[str], symbols: Sequence[str]) -> tuple[list[VenueConfig], SecretResolver, Path]:
    """Return the tables of the venues to record, the resolver of their secrets, and the state directory."""
    layers = read_layers_with_overlay()
    settings = layers.validate({"market_data": MarketDataConfig})
    tables = select_venues(settings.table("market_data", MarketDataConfig), venues, symbols)
    return tables, secret_resolver(layers), settings.paths.state


def select_venues(config: MarketDataConfig, venues: Collection[str], symbols: Collection[str]) -> list[VenueConfig]:
    """Return the tables of the selected venues; symbols given as options replace the configured ones."""
    wanted = {venue.upper() for venue in venues} | {_venue_of(symbol) for symbol in symbols}
    venue_tables(config, wanted)  # raises if a venue is unknown
    tables = _all_tables(config)
    if symbols:
        tables = {venue: _with_symbols(table, symbols) for venue, table in tables.items()}
    chosen = [table for venue, table in tables.items() if table.symbols and (not wanted or venue in wanted)]
    if not chosen:
        raise UsageError("no symbol to record: name one with --symbol or configure one")
    return chosen


def venue_tables(config: MarketDataConfig, venues: Collection[str]) -> list[VenueConfig]:
    """Return the tables of these venues, with or without configured symbols."""
    tables, wanted = _all_tables(config), {venue.upper() for venue in venues}
    if unknown := sorted(wanted - tables.keys()):
        raise UsageError(f"{', '.join(unknown)}: no such venue; there is {', '.join(tables)}")
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


def secret_resolver(layers: ConfigLayers) -> SecretResolver:
    """Return a function that resolves secret references and redacts their values from the log."""
    root = layers.validate({}).paths.root

    def resolve_secret(reference: str) -> bytes:
        secret = resolve(reference, root=root, environ=layers.environ).reveal()
        redact(secret.decode("utf-8", "replace"))
        return secret

    return resolve_secret


def list_instruments(
    tables: Sequence[VenueConfig], resolve_secret: SecretResolver, matching: str
) -> Iterator[Instrument]:
    """Yield the instruments of these venues whose unified or venue symbol contains the text."""
    for table in tables:
        for one in sorted(asyncio.run(_fetch_instruments(table, resolve_secret)), key=lambda one: one.symbol):
            if matching.upper() in one.symbol or matching.upper() in one.venue_symbol.upper():
                yield one


def instrument_row(instrument: Instrument) -> dict[str, Any]:
    """Return the fields of an instrument that the `instruments` command prints."""
    fields = asdict(instrument)
    row = {key: fields[key] for key in SHOWN_FIELDS}
    return {key: format_decimal(row[key]) if key in {"contract_multiplier", "tick", "lot"} else row[key] for key in row}


async def _fetch_instruments(table: VenueConfig, resolve_secret: SecretResolver) -> list[Instrument]:
    adapter = create_adapter(table, resolve_secret)
    rest = RestClient(adapter, table, SystemClock(), VenueMetrics(Metrics("command", ""), adapter.venue))
    try:
        found = await rest.fetch_instruments()
    finally:
        await rest.close()
    if isinstance(found, RestFailure):
        raise PeerUnreachable(f"{adapter.venue} at {table.rest_url}: {found.reason}")
    return found
