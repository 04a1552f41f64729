"""Deribit's metadata as instruments; names are read from its fields, never from the parts of a name."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec
from msgspec import Raw, Struct

from components.contracts.errors import ContractError
from components.contracts.values import ZERO, Symbol, Venue, canonical
from components.market_data.core.instruments import Instrument, Kind, Step, unify
from components.market_data.core.levels import read_number
from components.market_data.venues.deribit.settings import DeribitSettings
from components.market_data.venues.dialect import Ask

DERIBIT: Final = Venue("DERIBIT")
API: Final = "/api/v2/public"
NS_PER_MS: Final = 1_000_000
PERPETUAL: Final = "perpetual"
REVERSED: Final = "reversed"
DOLLAR: Final = "USD"
STRANGE: Final = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError, ArithmeticError)
"""All that an answer's bytes can do to its reader."""


class _Step(Struct, frozen=True):
    above_price: Decimal
    tick_size: Decimal


class _Row(Struct, frozen=True, kw_only=True):
    """One instrument; recordings of some years ago lack most of it."""

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
    tick_size_steps: tuple[_Step, ...] | None = None
    contract_size: Decimal | None = None
    min_trade_amount: Decimal | None = None
    strike: Decimal | None = None
    option_type: str | None = None
    expiration_timestamp: int | None = None
    is_active: bool = True


class _Answer(Struct, frozen=True):
    result: list[Raw]


_answers: Final = msgspec.json.Decoder(_Answer)
_rows: Final = msgspec.json.Decoder(_Row)


def asks(settings: DeribitSettings) -> tuple[Ask, ...]:
    """Ask for each kind in each currency."""
    return tuple(
        Ask(path=f"{API}/get_instruments?currency={currency}&kind={kind}&expired=false")
        for currency in settings.currencies
        for kind in settings.kinds
    )


def read(bodies: Iterable[bytes]) -> list[Instrument]:
    """Read the answers; combinations, and rows that make no sense, are left out."""
    found: dict[str, Instrument] = {}
    for body in bodies:
        for raw in _rows_of(body):
            instrument = _read_row(raw)
            if instrument is not None:
                found[instrument.native] = instrument
    return list(found.values())


def _rows_of(body: bytes) -> list[Raw]:
    try:
        return _answers.decode(body).result
    except STRANGE as error:
        raise ContractError(f"{DERIBIT}: instruments that cannot be read: {error}") from error


def _read_row(raw: Raw) -> Instrument | None:
    try:
        row = _rows.decode(raw)
        kind = _kind(row)
        return None if kind is None else _instrument(row, kind)
    except STRANGE:
        return None


def _kind(row: _Row) -> Kind | None:
    if row.kind == "future":
        return Kind.PERPETUAL if row.settlement_period == PERPETUAL else Kind.FUTURE
    return {"spot": Kind.SPOT, "option": Kind.OPTION}.get(row.kind)


def _instrument(row: _Row, kind: Kind) -> Instrument:
    quote = _counter(row)
    is_dated = kind in {Kind.FUTURE, Kind.OPTION}
    lot = row.min_trade_amount or row.contract_size or ZERO
    return Instrument(
        venue=DERIBIT,
        symbol=_symbol(row, kind, quote),
        native=row.instrument_name,
        kind=kind,
        base=row.base_currency,
        quote=quote,
        settle=row.settlement_currency or row.base_currency,
        # An amount counts dollars here, and coins everywhere else; the contract's size is already in it.
        is_inverse=kind in {Kind.PERPETUAL, Kind.FUTURE} and _is_reversed(row),
        tick=row.tick_size or ZERO,
        lot=lot,
        steps=tuple(Step(step.above_price, step.tick_size) for step in row.tick_size_steps or ()),
        minimum=lot,
        expires_at_ns=(row.expiration_timestamp or 0) * NS_PER_MS if is_dated else 0,
        strike=row.strike or ZERO,
        is_call=row.option_type == "call",
        is_trading=row.is_active,
    )


def _counter(row: _Row) -> str:
    # An option on a coin is priced in that coin: what it is counted against stands beside, or once was always dollars.
    if row.counter_currency:
        return row.counter_currency
    quote = row.quote_currency or DOLLAR
    return DOLLAR if quote == row.base_currency else quote


def _is_reversed(row: _Row) -> bool:
    kind = row.instrument_type or row.future_type
    if kind is not None:
        return kind == REVERSED
    # Before there were linear contracts nobody said so: what settles in its own coin is reversed.
    return (row.settlement_currency or row.base_currency) == row.base_currency and row.quote_currency == DOLLAR


def _symbol(row: _Row, kind: Kind, quote: str) -> Symbol:
    base = row.base_currency
    match kind:
        case Kind.PERPETUAL:
            return unify(DERIBIT, base, quote, "PERP")
        case Kind.FUTURE:
            return unify(DERIBIT, base, quote, _day(row))
        case Kind.OPTION:
            return unify(DERIBIT, base, quote, _day(row), *_right(row))
        case _:
            return unify(DERIBIT, base, quote)


def _right(row: _Row) -> tuple[str, str]:
    if row.strike is None or row.option_type not in {"call", "put"}:
        raise ValueError(f"{row.instrument_name} is an option without strike or type")
    return canonical(read_number(str(row.strike))), row.option_type[0]


def _day(row: _Row) -> str:
    if row.expiration_timestamp is None:
        raise ValueError(f"{row.instrument_name} ends, but not when")
    return f"{datetime.fromtimestamp(row.expiration_timestamp // 1_000, UTC):%y%m%d}"
