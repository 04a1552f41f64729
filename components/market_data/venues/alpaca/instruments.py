"""Alpaca's crypto pairs as instruments: the venue itself divides their names, BTC/USD."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct

from components.contracts.errors import ContractError
from components.contracts.values import Venue
from components.market_data.core.instruments import Instrument, Kind, unify
from components.market_data.venues.dialect import Ask

ALPACA: Final = Venue("ALPACA")
BOOKS: Final = "/v1beta3/crypto/us/latest/orderbooks"


class CryptoSettings(Struct, frozen=True, kw_only=True):
    """What can be chosen of Alpaca's crypto stream."""

    pairs: tuple[str, ...] = ("BTC/USD", "ETH/USD")
    """Which pairs may be listened to, in the venue's own words."""
    quotes: bool = True
    trades: bool = True
    step: Decimal = Decimal("0.000000001")
    """Prices and sizes have nine decimals at most; the steps of single pairs stand only where orders are sent."""


class _Answer(Struct, frozen=True):
    orderbooks: dict[str, Raw]


_answers: Final = msgspec.json.Decoder(_Answer)


def ask(pairs: Iterable[str]) -> Ask:
    """Ask for the books of some pairs, which names those that exist; it needs no keys."""
    return Ask(path=f"{BOOKS}?{urlencode({'symbols': ','.join(pairs)})}")


def read(bodies: Iterable[bytes], step: Decimal) -> list[Instrument]:
    """Read which pairs have a book."""
    found: dict[str, Instrument] = {}
    for body in bodies:
        try:
            names = _answers.decode(body).orderbooks
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ContractError(f"{ALPACA}: pairs that cannot be read: {error}") from error
        found.update((name, _instrument(name, step)) for name in names if name.count("/") == 1)
    return list(found.values())


def _instrument(name: str, step: Decimal) -> Instrument:
    base, quote = name.split("/")
    return Instrument(
        venue=ALPACA,
        symbol=unify(ALPACA, base, quote),
        native=name,
        kind=Kind.SPOT,
        base=base,
        quote=quote,
        settle=quote,
        tick=step,
        lot=step,
    )
