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
from components.market_data.venues.alpaca.dialect import AlpacaCryptoAdapter
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.binance.dialect import BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.settings import BinanceSettings
from components.market_data.venues.deribit.dialect import DeribitAdapter
from components.market_data.venues.deribit.settings import DeribitSettings
from components.market_data.venues.dialect import VenueAdapter
from components.market_data.venues.keys import ApiCredentials
from components.market_data.venues.okx.dialect import OkxAdapter
from components.market_data.venues.okx.settings import ChecksumMode, DepthChannel, OkxInstrumentType, OkxSettings
from components.runtime.secrets import Secret

SecretResolver = Callable[[str], bytes]
"""Fetches a secret by its reference."""

_DEFAULT_INSTRUMENT_TYPES: Final = (OkxInstrumentType.SPOT, OkxInstrumentType.SWAP, OkxInstrumentType.FUTURES)


def create_adapter(table: VenueConfig, resolve_secret: SecretResolver) -> VenueAdapter:
    """Make the dialect that a venue's table asks for."""
    match table:
        case BinanceConfig():
            return BinanceSpotAdapter(table.stream_url, table.rest_url, _binance_settings(table))
        case BinanceUmConfig():
            return BinanceFuturesAdapter(table.stream_url, table.rest_url, _binance_settings(table))
        case OkxConfig():
            return OkxAdapter(table.stream_url, table.rest_url, _okx_settings(table))
        case DeribitConfig():
            return DeribitAdapter(
                table.stream_url, table.rest_url, _deribit_settings(table), _credentials(table, resolve_secret)
            )
        case AlpacaCryptoConfig():
            keys = ApiCredentials(Secret(resolve_secret(table.key)), Secret(resolve_secret(table.secret)))
            return AlpacaCryptoAdapter(table.stream_url, table.rest_url, _alpaca_settings(table), keys)
        case _:
            raise InvariantError(f"no dialect for {type(table).__name__}")


def _binance_settings(table: BinanceConfig | BinanceUmConfig) -> BinanceSettings:
    return BinanceSettings(
        depth_speed_ms=table.depth_speed_ms, snapshot_depth=table.image_depth, quotes=table.quotes, trades=table.trades
    )


def _okx_settings(table: OkxConfig) -> OkxSettings:
    return OkxSettings(
        depth_channel=DepthChannel(table.depth_channel),
        checksum=ChecksumMode(table.checksum),
        quotes=table.quotes,
        trades=table.trades,
        # Options are listed family by family only.
        inst_types=(*_DEFAULT_INSTRUMENT_TYPES, OkxInstrumentType.OPTION)
        if table.option_families
        else _DEFAULT_INSTRUMENT_TYPES,
        option_families=table.option_families,
    )


def _deribit_settings(table: DeribitConfig) -> DeribitSettings:
    return DeribitSettings(interval=table.interval, quotes=table.quotes, trades=table.trades)


def _credentials(table: DeribitConfig, resolve_secret: SecretResolver) -> ApiCredentials | None:
    if table.key is None or table.secret is None:
        return None
    return ApiCredentials(Secret(resolve_secret(table.key)), Secret(resolve_secret(table.secret)))


def _alpaca_settings(table: AlpacaCryptoConfig) -> CryptoSettings:
    pairs = tuple(symbol.partition(":")[2].replace("-", "/") for symbol in table.symbols)
    return CryptoSettings(pairs=pairs, quotes=table.quotes, trades=table.trades)
