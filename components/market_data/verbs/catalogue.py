"""Asks venues what they list, as a verb and not as a process that goes on."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import asdict

from components.contracts.errors import PeerUnreachable
from components.contracts.values import canonical
from components.market_data.config import VenueConfig
from components.market_data.core.instruments import Instrument
from components.market_data.venues.counts import VenueCounts
from components.market_data.venues.dialects import Reveal, dialect_of
from components.market_data.venues.rest import NoAnswer, Rest
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics

SHOWN: Final = (
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


def listed(tables: Sequence[VenueConfig], reveal: Reveal, matching: str) -> Iterator[Instrument]:
    """Give the instruments of these venues whose name, unified or native, holds the text."""
    for table in tables:
        for one in sorted(asyncio.run(_ask(table, reveal)), key=lambda one: one.symbol):
            if matching.upper() in one.symbol or matching.upper() in one.native.upper():
                yield one


def row(instrument: Instrument) -> dict[str, Any]:
    """Give what an operator wants to know of one."""
    facts = asdict(instrument)
    shown = {key: facts[key] for key in SHOWN}
    return {key: canonical(shown[key]) if key in {"unit", "tick", "lot"} else shown[key] for key in shown}


async def _ask(table: VenueConfig, reveal: Reveal) -> list[Instrument]:
    dialect = dialect_of(table, reveal)
    rest = Rest(dialect, table, SystemClock(), VenueCounts(Metrics("verb", ""), dialect.venue))
    try:
        found = await rest.instruments()
    finally:
        await rest.close()
    if isinstance(found, NoAnswer):
        raise PeerUnreachable(f"{dialect.venue} at {table.rest_url}: {found.reason}")
    return found
