"""All venues: the adapter for each configuration table, and the URL patterns that identify a recording's venue."""

import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from components.contracts.errors import InvariantError
from components.contracts.values import Venue
from components.market_data.config import (
    AlpacaCryptoConfig,
    BinanceConfig,
    BinanceUmConfig,
    DeribitConfig,
    OkxConfig,
    VenueConfig,
)
from components.market_data.core.recording import Via
from components.market_data.venues.adapter import ApiCredentials, VenueAdapter
from components.market_data.venues.alpaca.adapter import AlpacaCryptoAdapter
from components.market_data.venues.alpaca.instruments import CryptoSettings
from components.market_data.venues.binance.adapter import BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.requests import BinanceSettings
from components.market_data.venues.deribit.adapter import DeribitAdapter
from components.market_data.venues.deribit.requests import DeribitSettings
from components.market_data.venues.okx.adapter import OkxAdapter
from components.market_data.venues.okx.requests import ChecksumMode, DepthChannel, OkxInstrumentType, OkxSettings
from components.runtime.config.secrets import Secret

BINANCE: Final = Venue("BINANCE")
BINANCEUM: Final = Venue("BINANCEUM")
OKX: Final = Venue("OKX")
DERIBIT: Final = Venue("DERIBIT")
ALPACA: Final = Venue("ALPACA")
NO_URL: Final = "recorded://"
"""No request is sent while a recording is read."""
SecretResolver = Callable[[str], bytes]
"""Returns the secret for a reference."""
_DEFAULT_INSTRUMENT_TYPES: Final = (OkxInstrumentType.SPOT, OkxInstrumentType.SWAP, OkxInstrumentType.FUTURES)

# Paths are matched first, because the sandbox serves the paths of all venues on its own host. Binance's older futures
# streams used the paths of the spot market; for these the host decides, or the URL of a recorded HTTP request.
_VENUE_PATHS: Final = (
    (re.compile(r"/fapi/v\d+/"), BINANCEUM),
    (re.compile(r"/(public|market|private)/(ws|stream)(/|$)"), BINANCEUM),
    (re.compile(r"/ws/v5/|/api/v5/"), OKX),
    (re.compile(r"/ws/api/v2|/api/v2/"), DERIBIT),
    (re.compile(r"/api/v3/"), BINANCE),
    (re.compile(r"/v\d+beta\d+/crypto/"), ALPACA),
)
_FUTURES_HOST: Final = re.compile(r"fstream")
# Coin-margined futures, which are not supported.
_OTHER_MARKET_HOST: Final = re.compile(r"dstream")
_UNROUTED: Final = re.compile(r"/(ws|stream)(/|$)")
_METADATA_PATH: Final = re.compile(r"/(exchangeInfo|public/instruments|public/get_instruments|latest/orderbooks)$")
_SNAPSHOT_PATHS: Final = (
    (re.compile(r"/(fapi|api)/v\d+/depth$"), "symbol"),
    (re.compile(r"/api/v5/market/books$"), "instId"),
    (re.compile(r"/api/v2/public/get_order_book$"), "instrument_name"),
)


def detect_venues(urls: Iterable[str]) -> list[Venue]:
    """Return the venues that the URLs of one recording belong to, in order; a valid recording has one."""
    found: dict[Venue, None] = {}
    is_unrouted = False
    for url in urls:
        venue = _detect_venue(url)
        if venue is not None:
            found[venue] = None
        elif _is_unrouted(url):
            is_unrouted = True
    if is_unrouted and not {BINANCE, BINANCEUM} & found.keys():
        found[BINANCE] = None
    return list(found)


def _detect_venue(url: str) -> Venue | None:
    parts = _split(url)
    for pattern, venue in _VENUE_PATHS:
        if pattern.match(parts.path):
            return venue
    is_futures = _UNROUTED.match(parts.path) and _FUTURES_HOST.search(parts.netloc)
    return BINANCEUM if is_futures else None


def _is_unrouted(url: str) -> bool:
    parts = _split(url)
    return _UNROUTED.match(parts.path) is not None and _OTHER_MARKET_HOST.search(parts.netloc) is None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # an invalid URL belongs to no venue
        return urlsplit("")


def is_metadata(via: str, url: str) -> bool:
    """Return whether this is a response with instrument metadata."""
    return via == Via.RESPONSE and _METADATA_PATH.search(_split(url).path) is not None


def snapshot_symbol(via: str, url: str) -> str | None:
    """Return the venue symbol whose snapshot was requested from this URL; None for other requests."""
    if via != Via.RESPONSE:
        return None
    parts = _split(url)
    for pattern, key in _SNAPSHOT_PATHS:
        if pattern.match(parts.path):
            return next(iter(parse_qs(parts.query).get(key, ())), None)
    return None


def create_adapter(table: VenueConfig, resolve_secret: SecretResolver) -> VenueAdapter:
    """Build the adapter for a venue's configuration table."""
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
            credentials = ApiCredentials(Secret(resolve_secret(table.key)), Secret(resolve_secret(table.secret)))
            return AlpacaCryptoAdapter(table.stream_url, table.rest_url, _alpaca_settings(table), credentials)
        case _:
            raise InvariantError(f"no adapter for {type(table).__name__}")


def offline_adapter(venue: Venue, okx_channel: Callable[[], DepthChannel]) -> VenueAdapter:
    """Build the adapter that decodes a venue's recording; `okx_channel` is called for OKX only."""
    if venue == BINANCE:
        return BinanceSpotAdapter(NO_URL, NO_URL, BinanceSettings())
    if venue == BINANCEUM:
        return BinanceFuturesAdapter(NO_URL, NO_URL, BinanceSettings())
    if venue == OKX:
        return OkxAdapter(NO_URL, NO_URL, OkxSettings(depth_channel=okx_channel()))
    if venue == ALPACA:
        no_credentials = ApiCredentials(Secret(b""), Secret(b""))
        return AlpacaCryptoAdapter(NO_URL, NO_URL, CryptoSettings(), no_credentials)
    return DeribitAdapter(NO_URL, NO_URL, DeribitSettings())


def _binance_settings(table: BinanceConfig | BinanceUmConfig) -> BinanceSettings:
    return BinanceSettings(
        depth_speed_ms=table.depth_speed_ms,
        snapshot_depth=table.snapshot_depth,
        quotes=table.quotes,
        trades=table.trades,
    )


def _okx_settings(table: OkxConfig) -> OkxSettings:
    return OkxSettings(
        depth_channel=DepthChannel(table.depth_channel),
        checksum=ChecksumMode(table.checksum),
        quotes=table.quotes,
        trades=table.trades,
        # Options are listed by family only.
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
