"""Binance's exchange information as instruments.

Symbols are built from base and quote asset, increments are read from the filters. Names are never split.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from components.contracts.errors import ProtocolError
from components.contracts.values import Venue
from components.market_data.core.instruments import Instrument, InstrumentType, unified_symbol
from components.market_data.core.numerics import parse_number
from components.market_data.venues.adapter import DECODE_ERRORS
from components.market_data.venues.binance.messages import DETAIL_CHARACTERS_MAX
from components.runtime.clock import NS_PER_MS

BINANCE: Final = Venue("BINANCE")
BINANCE_FUTURES: Final = Venue("BINANCEUM")
NO_DELIVERY_MS: Final = 4_000_000_000_000
"""Perpetuals carry a delivery date in the year 2100; dates from here on mean that there is none."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Name = Annotated[str, Meta(min_length=1, max_length=40)]


class _Filter(Struct, frozen=True, rename="camel"):
    filter_type: str
    tick_size: str = "0"
    step_size: str = "0"
    min_qty: str = "0"


class _SpotRow(Struct, frozen=True, rename="camel"):
    symbol: Name
    status: str
    base_asset: Name
    quote_asset: Name
    filters: list[_Filter] = []


class _FuturesRow(_SpotRow, frozen=True, rename="camel"):
    contract_type: str = ""
    delivery_date: Annotated[int, Meta(ge=0, le=9_000_000_000_000)] = 0
    margin_asset: str = ""


class _ExchangeInfo(Struct, frozen=True):
    symbols: list[msgspec.Raw]


class _Increments(Struct, frozen=True):
    tick: Decimal
    lot: Decimal
    minimum: Decimal


_exchange_info_decoder: Final = msgspec.json.Decoder(_ExchangeInfo)
_spot_row_decoder: Final = msgspec.json.Decoder(_SpotRow)
_futures_row_decoder: Final = msgspec.json.Decoder(_FuturesRow)


def decode_spot_instruments(bodies: Sequence[bytes]) -> list[Instrument]:
    """Return the instruments of the spot market."""
    return _decode(bodies, _spot_instrument)


def decode_futures_instruments(bodies: Sequence[bytes]) -> list[Instrument]:
    """Return the instruments of USD-M futures."""
    return _decode(bodies, _futures_instrument)


def _decode(bodies: Iterable[bytes], build: Callable[[msgspec.Raw], Instrument]) -> list[Instrument]:
    instruments = []
    for body in bodies:
        for row in _rows(body):
            try:
                instruments.append(build(row))
            except DECODE_ERRORS:
                continue
    return instruments


def _rows(body: bytes) -> list[msgspec.Raw]:
    try:
        return _exchange_info_decoder.decode(body).symbols
    except DECODE_ERRORS as error:
        raise ProtocolError(f"no exchange information: {error}; {body[:DETAIL_CHARACTERS_MAX]!r}") from error


def _spot_instrument(raw: msgspec.Raw) -> Instrument:
    row = _spot_row_decoder.decode(raw)
    steps = _increments(row.filters)
    return Instrument(
        venue=BINANCE,
        symbol=unified_symbol(BINANCE, row.base_asset, row.quote_asset),
        venue_symbol=row.symbol,
        instrument_type=InstrumentType.SPOT,
        base=row.base_asset,
        quote=row.quote_asset,
        settle=row.quote_asset,
        tick=steps.tick,
        lot=steps.lot,
        quantity_min=steps.minimum,
        is_trading=row.status == "TRADING",
    )


def _futures_instrument(raw: msgspec.Raw) -> Instrument:
    row = _futures_row_decoder.decode(raw)
    steps, is_perpetual = _increments(row.filters), "PERPETUAL" in row.contract_type
    return Instrument(
        venue=BINANCE_FUTURES,
        symbol=unified_symbol(BINANCE_FUTURES, row.base_asset, row.quote_asset, "PERP" if is_perpetual else _day(row)),
        venue_symbol=row.symbol,
        instrument_type=InstrumentType.PERPETUAL if is_perpetual else InstrumentType.FUTURE,
        base=row.base_asset,
        quote=row.quote_asset,
        settle=row.margin_asset or row.quote_asset,
        tick=steps.tick,
        lot=steps.lot,
        quantity_min=steps.minimum,
        expires_at_ns=row.delivery_date * NS_PER_MS if row.delivery_date < NO_DELIVERY_MS else 0,
        is_trading=row.status == "TRADING",
    )


def _day(row: _FuturesRow) -> str:
    if not 0 < row.delivery_date < NO_DELIVERY_MS:
        raise ValueError(f"{row.symbol}: a {row.contract_type or 'nameless'} contract without a delivery date")
    return f"{EPOCH + timedelta(milliseconds=row.delivery_date):%y%m%d}"


def _increments(filters: Sequence[_Filter]) -> _Increments:
    # Every filter is optional; an increment of zero means that the venue names none. The precision fields beside the
    # filters are not increments.
    by_type = {one.filter_type: one for one in filters}
    none = _Filter("")
    price, lot = by_type.get("PRICE_FILTER", none), by_type.get("LOT_SIZE", none)
    return _Increments(parse_number(price.tick_size), parse_number(lot.step_size), parse_number(lot.min_qty))
