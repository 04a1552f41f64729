"""Binance's exchange information as instruments; names come from its parts, steps from its filters, never by guess."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from components.contracts.errors import ContractError
from components.contracts.values import Venue
from components.market_data.core.instruments import Instrument, Kind, unify
from components.market_data.core.levels import read_number
from components.market_data.venues.binance.messages import DETAIL_MAX, NS_PER_MS, STRANGE

SPOT: Final = Venue("BINANCE")
UM: Final = Venue("BINANCEUM")
NEVER_MS: Final = 4_000_000_000_000
"""Perpetuals are said to be delivered in the year 2100."""
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


class _UmRow(_SpotRow, frozen=True, rename="camel"):
    contract_type: str = ""
    delivery_date: Annotated[int, Meta(ge=0, le=9_000_000_000_000)] = 0
    margin_asset: str = ""


class _Listing(Struct, frozen=True):
    symbols: list[msgspec.Raw]


class _Steps(Struct, frozen=True):
    tick: Decimal
    lot: Decimal
    minimum: Decimal


_listing: Final = msgspec.json.Decoder(_Listing)
_spot_row: Final = msgspec.json.Decoder(_SpotRow)
_um_row: Final = msgspec.json.Decoder(_UmRow)


def read_spot(bodies: Sequence[bytes]) -> list[Instrument]:
    """Read what the spot market lists."""
    return _read(bodies, _spot)


def read_um(bodies: Sequence[bytes]) -> list[Instrument]:
    """Read what the USD-M market lists."""
    return _read(bodies, _um)


def _read(bodies: Iterable[bytes], build: Callable[[msgspec.Raw], Instrument]) -> list[Instrument]:
    instruments = []
    for body in bodies:
        for row in _rows(body):
            try:
                instruments.append(build(row))
            except STRANGE:
                continue
    return instruments


def _rows(body: bytes) -> list[msgspec.Raw]:
    try:
        return _listing.decode(body).symbols
    except STRANGE as error:
        raise ContractError(f"no exchange information: {error}; {body[:DETAIL_MAX]!r}") from error


def _spot(raw: msgspec.Raw) -> Instrument:
    row = _spot_row.decode(raw)
    steps = _steps(row.filters)
    return Instrument(
        venue=SPOT,
        symbol=unify(SPOT, row.base_asset, row.quote_asset),
        native=row.symbol,
        kind=Kind.SPOT,
        base=row.base_asset,
        quote=row.quote_asset,
        settle=row.quote_asset,
        tick=steps.tick,
        lot=steps.lot,
        minimum=steps.minimum,
        is_trading=row.status == "TRADING",
    )


def _um(raw: msgspec.Raw) -> Instrument:
    row = _um_row.decode(raw)
    steps, is_perpetual = _steps(row.filters), "PERPETUAL" in row.contract_type
    return Instrument(
        venue=UM,
        symbol=unify(UM, row.base_asset, row.quote_asset, "PERP" if is_perpetual else _day(row)),
        native=row.symbol,
        kind=Kind.PERPETUAL if is_perpetual else Kind.FUTURE,
        base=row.base_asset,
        quote=row.quote_asset,
        settle=row.margin_asset or row.quote_asset,
        tick=steps.tick,
        lot=steps.lot,
        minimum=steps.minimum,
        expires_at_ns=row.delivery_date * NS_PER_MS if row.delivery_date < NEVER_MS else 0,
        is_trading=row.status == "TRADING",
    )


def _day(row: _UmRow) -> str:
    if not 0 < row.delivery_date < NEVER_MS:
        raise ValueError(f"{row.symbol}: a {row.contract_type or 'nameless'} contract that is never delivered")
    return f"{EPOCH + timedelta(milliseconds=row.delivery_date):%y%m%d}"


def _steps(filters: Sequence[_Filter]) -> _Steps:
    # Every filter is optional: a step of zero says that the venue names none. The precisions beside them are no steps.
    by_type = {one.filter_type: one for one in filters}
    none = _Filter("")
    price, lot = by_type.get("PRICE_FILTER", none), by_type.get("LOT_SIZE", none)
    return _Steps(read_number(price.tick_size), read_number(lot.step_size), read_number(lot.min_qty))
