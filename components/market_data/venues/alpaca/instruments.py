"""Alpaca's crypto pairs as instruments. The venue separates base and quote currency itself: BTC/USD."""

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
    """Settings of Alpaca's crypto stream."""

    pairs: tuple[str, ...] = ("BTC/USD", "ETH/USD")
    """The pairs that may be subscribed, by the venue's names."""
    quotes: bool = True
    trades: bool = True
    increment: Decimal = Decimal("0.000000001")
    """Prices and sizes have at most nine decimals. Increments per pair are published only by the trading API."""


class _OrderBooksResponse(Struct, frozen=True):
    orderbooks: dict[str, Raw]


_order_books_decoder: Final = msgspec.json.Decoder(_OrderBooksResponse)


def instrument_request(pairs: Iterable[str]) -> RestRequest:
    """Return the request for the latest books of these pairs.

    The response names the pairs that exist; it needs no login.
    """
    return RestRequest(path=f"{ORDER_BOOKS_PATH}?{urlencode({'symbols': ','.join(pairs)})}")


def decode_instruments(bodies: Iterable[bytes], increment: Decimal) -> list[Instrument]:
    """Return the pairs that have a book."""
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
