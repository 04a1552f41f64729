"""Alpaca's crypto pairs as instruments: the venue itself divides their names, BTC/USD."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct

from components.contracts.errors import ProtocolError
from components.contracts.values import Venue
from components.market_data.core.instruments import Instrument, InstrumentType, unified_symbol
from components.market_data.venues.adapter import DECODE_ERRORS, RestRequest

ALPACA: Final = Venue("ALPACA")
ORDER_BOOKS_PATH: Final = "/v1beta3/crypto/us/latest/orderbooks"


class CryptoSettings(Struct, frozen=True, kw_only=True):
    """What can be chosen of Alpaca's crypto stream."""

    pairs: tuple[str, ...] = ("BTC/USD", "ETH/USD")
    """Which pairs may be listened to, in the venue's own words."""
    quotes: bool = True
    trades: bool = True
    increment: Decimal = Decimal("0.000000001")
    """Prices and sizes have nine decimals at most; the steps of single pairs stand only where orders are sent."""


class _OrderBooksResponse(Struct, frozen=True):
    orderbooks: dict[str, Raw]


_order_books_decoder: Final = msgspec.json.Decoder(_OrderBooksResponse)


def instrument_request(pairs: Iterable[str]) -> RestRequest:
    """Ask for the books of some pairs, which names those that exist; it needs no keys."""
    return RestRequest(path=f"{ORDER_BOOKS_PATH}?{urlencode({'symbols': ','.join(pairs)})}")


def decode_instruments(bodies: Iterable[bytes], increment: Decimal) -> list[Instrument]:
    """Read which pairs have a book."""
    found: dict[str, Instrument] = {}
    for body in bodies:
        try:
            names = _order_books_decoder.decode(body).orderbooks
        except DECODE_ERRORS as error:
            raise ProtocolError(f"{ALPACA}: cannot decode the pairs: {error}") from error
        found.update((name, _instrument(name, increment)) for name in names if name.count("/") == 1)
    return list(found.values())


def _instrument(name: str, increment: Decimal) -> Instrument:
    base, quote = name.split("/")
    return Instrument(
        venue=ALPACA,
        symbol=unified_symbol(ALPACA, base, quote),
        venue_symbol=name,
        instrument_type=InstrumentType.SPOT,
        base=base,
        quote=quote,
        settle=quote,
        tick=increment,
        lot=increment,
    )
