"""Asks venues what they list, as a verb and not as a process that goes on."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import asdict

from components.contracts.errors import PeerUnreachable
from components.contracts.values import format_decimal
from components.market_data.config import VenueConfig
from components.market_data.core.instruments import Instrument
from components.market_data.venues.counts import VenueMetrics
from components.market_data.venues.dialects import SecretResolver, create_adapter
from components.market_data.venues.rest import RestClient, RestFailure
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics

SHOWN_FIELDS: Final = (
    "symbol",
    "native",
    "kind",
    "base",
    "quote",
    "settle",
    "is_inverse",
    "unit",
    "tick",
    "lot",
    "is_trading",
)


def list_instruments(
    tables: Sequence[VenueConfig], resolve_secret: SecretResolver, matching: str
) -> Iterator[Instrument]:
    """Give the instruments of these venues whose name, unified or native, holds the text."""
    for table in tables:
        for one in sorted(asyncio.run(_fetch_instruments(table, resolve_secret)), key=lambda one: one.symbol):
            if matching.upper() in one.symbol or matching.upper() in one.venue_symbol.upper():
                yield one


def instrument_row(instrument: Instrument) -> dict[str, Any]:
    """Give what an operator wants to know of one."""
    facts = asdict(instrument)
    shown = {key: facts[key] for key in SHOWN_FIELDS}
    return {key: format_decimal(shown[key]) if key in {"unit", "tick", "lot"} else shown[key] for key in shown}


async def _fetch_instruments(table: VenueConfig, resolve_secret: SecretResolver) -> list[Instrument]:
    dialect = create_adapter(table, resolve_secret)
    rest = RestClient(dialect, table, SystemClock(), VenueMetrics(Metrics("verb", ""), dialect.venue))
    try:
        found = await rest.fetch_instruments()
    finally:
        await rest.close()
    if isinstance(found, RestFailure):
        raise PeerUnreachable(f"{dialect.venue} at {table.rest_url}: {found.reason}")
    return found
