"""Deribit's metadata as instruments; symbols are built from its fields, never by splitting a name."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw, Struct

from components.contracts.errors import ProtocolError
from components.contracts.values import ZERO, Symbol, Venue, format_decimal
from components.market_data.core.instruments import Instrument, InstrumentType, TickBand, unified_symbol
from components.market_data.core.numerics import parse_number
from components.market_data.venues.adapter import DECODE_ERRORS, RestRequest
from components.market_data.venues.deribit.requests import DeribitSettings
from components.runtime.clock import NS_PER_MS

DERIBIT: Final = Venue("DERIBIT")
API_PREFIX: Final = "/api/v2/public"
PERPETUAL: Final = "perpetual"
INVERSE: Final = "reversed"
USD: Final = "USD"


class _TickSizeStep(Struct, frozen=True):
    above_price: Decimal
    tick_size: Decimal


class _Row(Struct, frozen=True, kw_only=True):
    """One instrument; recordings of past years lack most of the fields."""

    instrument_name: str
    kind: str
    base_currency: str
    quote_currency: str | None = None
    counter_currency: str | None = None
    settlement_currency: str | None = None
    settlement_period: str | None = None
    instrument_type: str | None = None
    future_type: str | None = None
    tick_size: Decimal | None = None
    tick_size_steps: tuple[_TickSizeStep, ...] | None = None
    contract_size: Decimal | None = None
    min_trade_amount: Decimal | None = None
    strike: Decimal | None = None
    option_type: str | None = None
    expiration_timestamp: int | None = None
    is_active: bool = True


class _Response(Struct, frozen=True):
    result: list[Raw]


_response_decoder: Final = msgspec.json.Decoder(_Response)
_row_decoder: Final = msgspec.json.Decoder(_Row)


def instrument_requests(settings: DeribitSettings) -> tuple[RestRequest, ...]:
    """Return one request for each kind in each currency."""
    return tuple(
        RestRequest(path=f"{API_PREFIX}/get_instruments?currency={currency}&kind={kind}&expired=false")
        for currency in settings.currencies
        for kind in settings.kinds
    )


def decode_instruments(bodies: Iterable[bytes]) -> list[Instrument]:
    """Return the listed instruments; combinations and inconsistent rows are skipped."""
    found: dict[str, Instrument] = {}
    for body in bodies:
        for raw in _rows(body):
            instrument = _decode_row(raw)
            if instrument is not None:
                found[instrument.venue_symbol] = instrument
    return list(found.values())


def _rows(body: bytes) -> list[Raw]:
    try:
        return _response_decoder.decode(body).result
    except DECODE_ERRORS as error:
        raise ProtocolError(f"{DERIBIT}: cannot decode the instruments: {error}") from error


def _decode_row(raw: Raw) -> Instrument | None:
    try:
        row = _row_decoder.decode(raw)
        kind = _instrument_type(row)
        return None if kind is None else _instrument(row, kind)
    except DECODE_ERRORS:
        return None


def _instrument_type(row: _Row) -> InstrumentType | None:
    if row.kind == "future":
        return InstrumentType.PERPETUAL if row.settlement_period == PERPETUAL else InstrumentType.FUTURE
    return {"spot": InstrumentType.SPOT, "option": InstrumentType.OPTION}.get(row.kind)


def _instrument(row: _Row, kind: InstrumentType) -> Instrument:
    quote = _quote_currency(row)
    is_dated = kind in {InstrumentType.FUTURE, InstrumentType.OPTION}
    lot = row.min_trade_amount or row.contract_size or ZERO
    return Instrument(
        venue=DERIBIT,
        symbol=_symbol(row, kind, quote),
        venue_symbol=row.instrument_name,
        instrument_type=kind,
        base=row.base_currency,
        quote=quote,
        settle=row.settlement_currency or row.base_currency,
        # Amounts of inverse instruments count dollars, all others coins; the contract size is already included.
        is_inverse=kind in {InstrumentType.PERPETUAL, InstrumentType.FUTURE} and _is_inverse(row),
        tick=row.tick_size or ZERO,
        lot=lot,
        tick_bands=tuple(TickBand(step.above_price, step.tick_size) for step in row.tick_size_steps or ()),
        quantity_min=lot,
        expires_at_ns=(row.expiration_timestamp or 0) * NS_PER_MS if is_dated else 0,
        strike=row.strike or ZERO,
        is_call=row.option_type == "call",
        is_trading=row.is_active,
    )


def _quote_currency(row: _Row) -> str:
    # An option on a coin is priced in that coin; the currency it is counted against is a separate field, formerly
    # always dollars.
    if row.counter_currency:
        return row.counter_currency
    quote = row.quote_currency or USD
    return USD if quote == row.base_currency else quote


def _is_inverse(row: _Row) -> bool:
    kind = row.instrument_type or row.future_type
    if kind is not None:
        return kind == INVERSE
    # Metadata from before linear contracts lacks the type: what settles in its own coin is inverse.
    return (row.settlement_currency or row.base_currency) == row.base_currency and row.quote_currency == USD


def _symbol(row: _Row, kind: InstrumentType, quote: str) -> Symbol:
    base = row.base_currency
    match kind:
        case InstrumentType.PERPETUAL:
            return unified_symbol(DERIBIT, base, quote, "PERP")
        case InstrumentType.FUTURE:
            return unified_symbol(DERIBIT, base, quote, _day(row))
        case InstrumentType.OPTION:
            return unified_symbol(DERIBIT, base, quote, _day(row), *_strike_and_right(row))
        case _:
            return unified_symbol(DERIBIT, base, quote)


def _strike_and_right(row: _Row) -> tuple[str, str]:
    if row.strike is None or row.option_type not in {"call", "put"}:
        raise ValueError(f"{row.instrument_name} is an option without strike or type")
    return format_decimal(parse_number(str(row.strike))), row.option_type[0]


def _day(row: _Row) -> str:
    if row.expiration_timestamp is None:
        raise ValueError(f"{row.instrument_name} has no expiry")
    return f"{datetime.fromtimestamp(row.expiration_timestamp // 1_000, UTC):%y%m%d}"
