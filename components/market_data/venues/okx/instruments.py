"""OKX's metadata as instruments.

Symbols are built from its fields, contract sizes from value and multiplier.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from components.contracts.values import ZERO, Symbol, Venue, format_decimal
from components.market_data.core.instruments import Instrument, InstrumentType, unified_symbol
from components.market_data.core.numerics import parse_number
from components.market_data.venues.adapter import DECODE_ERRORS, RestRequest
from components.market_data.venues.okx.messages import InstrumentRow, Response
from components.market_data.venues.okx.requests import OkxInstrumentType, OkxSettings
from components.runtime.clock import NS_PER_MS

OKX: Final = Venue("OKX")
INSTRUMENT_TYPES: Final = {
    OkxInstrumentType.SPOT: InstrumentType.SPOT,
    OkxInstrumentType.SWAP: InstrumentType.PERPETUAL,
    OkxInstrumentType.FUTURES: InstrumentType.FUTURE,
    OkxInstrumentType.OPTION: InstrumentType.OPTION,
}
REQUEST_WEIGHT: Final = 2
"""Metadata allows 20 requests in 2 s, half of what is allowed for books."""
_response_decoder: Final = msgspec.json.Decoder(Response[msgspec.Raw])
_row_decoder: Final = msgspec.json.Decoder(InstrumentRow)


class ContractSize(NamedTuple):
    """The value of one contract, and whether it counts the quote currency."""

    multiplier: Decimal
    is_inverse: bool


def instrument_requests(settings: OkxSettings) -> list[RestRequest]:
    """Return one request for each configured type; options need one for each family."""
    types = [one for one in settings.inst_types if one != OkxInstrumentType.OPTION]
    queries = [f"instType={one}" for one in types]
    if OkxInstrumentType.OPTION in settings.inst_types:
        queries += [f"instType=OPTION&instFamily={family}" for family in settings.option_families]
    return [RestRequest(path=f"/api/v5/public/instruments?{query}", weight=REQUEST_WEIGHT) for query in queries]


def decode_instruments(bodies: Sequence[bytes]) -> list[Instrument]:
    """Return the listed instruments; rows that cannot be decoded, or whose contract size is ambiguous, are skipped."""
    return [one for body in bodies for row in _rows(body) if (one := _to_instrument_or_none(row)) is not None]


def _rows(body: bytes) -> Iterator[InstrumentRow]:
    try:
        rows = _response_decoder.decode(body).data
    except DECODE_ERRORS:
        return
    for row in rows:
        try:
            yield _row_decoder.decode(row)
        except DECODE_ERRORS:
            continue


def _to_instrument_or_none(row: InstrumentRow) -> Instrument | None:
    try:
        return _to_instrument(row)
    except DECODE_ERRORS:
        return None


def _to_instrument(row: InstrumentRow) -> Instrument:
    kind = INSTRUMENT_TYPES[OkxInstrumentType(row.inst_type)]
    base, quote = _currencies(row, kind)
    contract = _contract(row, kind, base, quote)
    expires_at_ms = int(row.exp_time) if kind in (InstrumentType.FUTURE, InstrumentType.OPTION) else 0
    strike = _positive(row.stk) if kind is InstrumentType.OPTION else ZERO
    return Instrument(
        venue=OKX,
        symbol=_symbol(row, kind, (base, quote), expires_at_ms),
        venue_symbol=row.inst_id,
        instrument_type=kind,
        base=base,
        quote=quote,
        settle=quote if kind is InstrumentType.SPOT else row.settle_ccy,
        is_inverse=contract.is_inverse,
        contract_multiplier=contract.multiplier,
        tick=_positive(row.tick_sz),
        lot=_positive(row.lot_sz),
        quantity_min=parse_number(row.min_sz),
        expires_at_ns=expires_at_ms * NS_PER_MS,
        strike=strike,
        is_call=row.opt_type == "C",
        is_trading=row.state == "live",
        may_cross=row.state == "preopen",
    )


def _currencies(row: InstrumentRow, kind: InstrumentType) -> tuple[str, str]:
    if kind is InstrumentType.SPOT:
        base, quote = row.base_ccy, row.quote_ccy
    else:
        # The family distinguishes BTC-USD_UM from BTC-USD, which share an underlying; old metadata lacks it.
        base, _, quote = (row.inst_family or row.uly).partition("-")
    if not base or not quote:
        raise ValueError(f"{row.inst_id}: no currencies")
    return base, quote


def _contract(row: InstrumentRow, kind: InstrumentType, base: str, quote: str) -> ContractSize:
    if kind is InstrumentType.SPOT:
        return ContractSize(Decimal(1), is_inverse=False)
    is_inverse = row.ct_val_ccy == quote
    if row.ct_val_ccy not in (base, quote) or (
        kind is not InstrumentType.OPTION and is_inverse != (row.ct_type == "inverse")
    ):
        raise ValueError(f"{row.inst_id}: a contract of {row.ct_val_ccy!r} is neither linear nor inverse")
    return ContractSize(_positive(row.ct_val) * _positive(row.ct_mult or "1"), is_inverse=is_inverse)


def _symbol(row: InstrumentRow, kind: InstrumentType, currencies: tuple[str, str], expires_at_ms: int) -> Symbol:
    if kind is InstrumentType.SPOT:
        return unified_symbol(OKX, *currencies)
    if kind is InstrumentType.PERPETUAL:
        return unified_symbol(OKX, *currencies, "PERP")
    day = datetime.fromtimestamp(expires_at_ms // 1_000, UTC).strftime("%y%m%d")
    if kind is InstrumentType.FUTURE:
        return unified_symbol(OKX, *currencies, day)
    if row.opt_type not in ("C", "P"):
        raise ValueError(f"{row.inst_id}: neither call nor put")
    return unified_symbol(OKX, *currencies, day, format_decimal(parse_number(row.stk)), row.opt_type)


def _positive(text: str) -> Decimal:
    number = parse_number(text)
    if number <= ZERO:
        raise ValueError(f"{text!r} is not positive")
    return number
