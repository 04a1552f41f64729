"""What OKX lists, turned into instruments: names from its metadata only, contracts worth what it says."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from components.contracts.values import ZERO, Symbol, Venue, canonical
from components.market_data.core.instruments import Instrument, Kind, unify
from components.market_data.core.levels import read_number
from components.market_data.venues.dialect import Ask
from components.market_data.venues.okx.frames import Answer, InstrumentRow
from components.market_data.venues.okx.settings import InstrumentType, OkxSettings

OKX: Final = Venue("OKX")
KINDS: Final = {
    InstrumentType.SPOT: Kind.SPOT,
    InstrumentType.SWAP: Kind.PERPETUAL,
    InstrumentType.FUTURES: Kind.FUTURE,
    InstrumentType.OPTION: Kind.OPTION,
}
NS_PER_MS: Final = 1_000_000
ASK_WEIGHT: Final = 2
"""Metadata: 20 requests in 2 s, half of what is allowed for books."""

_ANSWER: Final = msgspec.json.Decoder(Answer[msgspec.Raw])
_ROW: Final = msgspec.json.Decoder(InstrumentRow)


class Contract(NamedTuple):
    """What one of the venue's quantity is."""

    unit: Decimal
    is_inverse: bool


def instrument_asks(settings: OkxSettings) -> list[Ask]:
    """Ask for every type that is listened to; options family by family."""
    types = [one for one in settings.inst_types if one != InstrumentType.OPTION]
    queries = [f"instType={one}" for one in types]
    if InstrumentType.OPTION in settings.inst_types:
        queries += [f"instType=OPTION&instFamily={family}" for family in settings.option_families]
    return [Ask(path=f"/api/v5/public/instruments?{query}", weight=ASK_WEIGHT) for query in queries]


def read_instruments(bodies: Sequence[bytes]) -> list[Instrument]:
    """Read what is listed; what cannot be read, or whose quantities mean nothing certain, is left out."""
    return [one for body in bodies for row in _rows(body) if (one := _instrument(row)) is not None]


def _rows(body: bytes) -> Iterator[InstrumentRow]:
    try:
        rows = _ANSWER.decode(body).data
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    for row in rows:
        try:
            yield _ROW.decode(row)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue


def _instrument(row: InstrumentRow) -> Instrument | None:
    try:
        return _read(row)
    except (ValueError, OverflowError):
        return None


def _read(row: InstrumentRow) -> Instrument:
    kind = KINDS[InstrumentType(row.inst_type)]
    base, quote = _currencies(row, kind)
    contract = _contract(row, kind, base, quote)
    expires_at_ms = int(row.exp_time) if kind in (Kind.FUTURE, Kind.OPTION) else 0
    strike = _above_zero(row.stk) if kind is Kind.OPTION else ZERO
    return Instrument(
        venue=OKX,
        symbol=_symbol(row, kind, (base, quote), expires_at_ms),
        native=row.inst_id,
        kind=kind,
        base=base,
        quote=quote,
        settle=quote if kind is Kind.SPOT else row.settle_ccy,
        is_inverse=contract.is_inverse,
        unit=contract.unit,
        tick=_above_zero(row.tick_sz),
        lot=_above_zero(row.lot_sz),
        minimum=read_number(row.min_sz),
        expires_at_ns=expires_at_ms * NS_PER_MS,
        strike=strike,
        is_call=row.opt_type == "C",
        is_trading=row.state == "live",
        may_cross=row.state == "preopen",
    )


def _currencies(row: InstrumentRow, kind: Kind) -> tuple[str, str]:
    if kind is Kind.SPOT:
        base, quote = row.base_ccy, row.quote_ccy
    else:
        # The family tells BTC-USD_UM from BTC-USD where the underlying is one; old metadata lacks it.
        base, _, quote = (row.inst_family or row.uly).partition("-")
    if not base or not quote:
        raise ValueError(f"{row.inst_id}: no currencies")
    return base, quote


def _contract(row: InstrumentRow, kind: Kind, base: str, quote: str) -> Contract:
    if kind is Kind.SPOT:
        return Contract(Decimal(1), is_inverse=False)
    is_inverse = row.ct_val_ccy == quote
    if row.ct_val_ccy not in (base, quote) or (kind is not Kind.OPTION and is_inverse != (row.ct_type == "inverse")):
        raise ValueError(f"{row.inst_id}: a contract of {row.ct_val_ccy!r} is neither linear nor inverse")
    return Contract(_above_zero(row.ct_val) * _above_zero(row.ct_mult or "1"), is_inverse=is_inverse)


def _symbol(row: InstrumentRow, kind: Kind, currencies: tuple[str, str], expires_at_ms: int) -> Symbol:
    if kind is Kind.SPOT:
        return unify(OKX, *currencies)
    if kind is Kind.PERPETUAL:
        return unify(OKX, *currencies, "PERP")
    day = datetime.fromtimestamp(expires_at_ms // 1_000, UTC).strftime("%y%m%d")
    if kind is Kind.FUTURE:
        return unify(OKX, *currencies, day)
    if row.opt_type not in ("C", "P"):
        raise ValueError(f"{row.inst_id}: neither call nor put")
    return unify(OKX, *currencies, day, canonical(read_number(row.stk)), row.opt_type)


def _above_zero(text: str) -> Decimal:
    number = read_number(text)
    if number <= ZERO:
        raise ValueError(f"{text!r} is not above zero")
    return number
