"""Makes each venue's dialect of what its table says."""

from collections.abc import Callable
from typing import Final

from components.contracts.errors import InvariantError
from components.market_data.config import (
    AlpacaCryptoConfig,
    BinanceConfig,
    BinanceUmConfig,
    DeribitConfig,
    OkxConfig,
    VenueConfig,
)
from components.market_data.venues.alpaca.dialect import AlpacaCryptoDialect
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.binance.dialect import BinanceDialect, BinanceUmDialect
from components.market_data.venues.binance.settings import BinanceSettings
from components.market_data.venues.deribit.dialect import DeribitDialect
from components.market_data.venues.deribit.settings import DeribitSettings
from components.market_data.venues.dialect import Dialect
from components.market_data.venues.keys import KeyPair
from components.market_data.venues.okx.dialect import OkxDialect
from components.market_data.venues.okx.settings import ChecksumMode, DepthChannel, InstrumentType, OkxSettings
from components.runtime.secrets import Secret

Reveal = Callable[[str], bytes]
"""Fetches a secret by its reference."""

_LISTED: Final = (InstrumentType.SPOT, InstrumentType.SWAP, InstrumentType.FUTURES)


def dialect_of(table: VenueConfig, reveal: Reveal) -> Dialect:
    """Make the dialect that a venue's table asks for."""
    match table:
        case BinanceConfig():
            return BinanceDialect(table.stream_url, table.rest_url, _binance(table))
        case BinanceUmConfig():
            return BinanceUmDialect(table.stream_url, table.rest_url, _binance(table))
        case OkxConfig():
            return OkxDialect(table.stream_url, table.rest_url, _okx(table))
        case DeribitConfig():
            return DeribitDialect(table.stream_url, table.rest_url, _deribit(table), _keys(table, reveal))
        case AlpacaCryptoConfig():
            keys = KeyPair(Secret(reveal(table.key)), Secret(reveal(table.secret)))
            return AlpacaCryptoDialect(table.stream_url, table.rest_url, _alpaca(table), keys)
        case _:
            raise InvariantError(f"no dialect for {type(table).__name__}")


def _binance(table: BinanceConfig | BinanceUmConfig) -> BinanceSettings:
    return BinanceSettings(
        depth_speed_ms=table.depth_speed_ms, image_depth=table.image_depth, quotes=table.quotes, trades=table.trades
    )


def _okx(table: OkxConfig) -> OkxSettings:
    return OkxSettings(
        depth_channel=DepthChannel(table.depth_channel),
        checksum=ChecksumMode(table.checksum),
        quotes=table.quotes,
        trades=table.trades,
        # Options are listed family by family only.
        inst_types=(*_LISTED, InstrumentType.OPTION) if table.option_families else _LISTED,
        option_families=table.option_families,
    )


def _deribit(table: DeribitConfig) -> DeribitSettings:
    return DeribitSettings(interval=table.interval, quotes=table.quotes, trades=table.trades)


def _keys(table: DeribitConfig, reveal: Reveal) -> KeyPair | None:
    if table.key is None or table.secret is None:
        return None
    return KeyPair(Secret(reveal(table.key)), Secret(reveal(table.secret)))


def _alpaca(table: AlpacaCryptoConfig) -> CryptoSettings:
    pairs = tuple(symbol.partition(":")[2].replace("-", "/") for symbol in table.symbols)
    return CryptoSettings(pairs=pairs, quotes=table.quotes, trades=table.trades)
