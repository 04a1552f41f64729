"""The venue adapters of Binance spot and Binance USD-M futures: sequence rules, connections, requests, decoding."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from components.contracts.errors import ProtocolError
from components.contracts.values import Symbol, Venue
from components.market_data.core.book.sequencing import RangeRule, ResyncMethod, SequenceRule
from components.market_data.core.events import DepthSnapshot
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.venues.adapter import DECODE_ERRORS, ConnectionPlan, Decoded, Limits, RestRequest
from components.market_data.venues.binance import instruments, requests
from components.market_data.venues.binance.decode import Decoder, FuturesDecoder, SpotDecoder
from components.market_data.venues.binance.messages import (
    DETAIL_CHARACTERS_MAX,
    SnapshotResponse,
    timestamp_ns,
)
from components.market_data.venues.binance.requests import BinanceSettings, SnapshotWeights, check_settings

SPOT_SEQUENCE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.FETCH, fallback_method=ResyncMethod.FETCH, ranges_overlap=True
)
FUTURES_SEQUENCE_RULE: Final = RangeRule(
    resync_method=ResyncMethod.FETCH,
    fallback_method=ResyncMethod.FETCH,
    ranges_overlap=False,
    reapplies_snapshot_id=True,
)
"""Ids count all symbols of the venue and so have holes: only `pu` shows whether an update follows the last one."""
_snapshot_decoder: Final = msgspec.json.Decoder(SnapshotResponse)


class MarketSpec(Struct, frozen=True, kw_only=True):
    """The differences between the two markets."""

    venue: Venue
    sequence_rule: SequenceRule
    venue_limits: Limits
    routes: requests.Routes
    rest_prefix: str
    metadata_weight: int
    snapshot_weights: SnapshotWeights
    depth_speeds_ms: Sequence[int]
    depth_speed_ms_default: int
    snapshot_depths: Sequence[int]
    decode_instruments: Callable[[Sequence[bytes]], list[Instrument]]


SPOT_MARKET: Final = MarketSpec(
    venue=instruments.BINANCE,
    sequence_rule=SPOT_SEQUENCE_RULE,
    venue_limits=requests.SPOT_LIMITS,
    routes=requests.SPOT_ROUTES,
    rest_prefix="/api/v3",
    metadata_weight=requests.SPOT_METADATA_WEIGHT,
    snapshot_weights=requests.SPOT_SNAPSHOT_WEIGHTS,
    depth_speeds_ms=(100, 1000),
    depth_speed_ms_default=1000,
    snapshot_depths=range(100, 5001),
    decode_instruments=instruments.decode_spot_instruments,
)
FUTURES_MARKET: Final = MarketSpec(
    venue=instruments.BINANCE_FUTURES,
    sequence_rule=FUTURES_SEQUENCE_RULE,
    venue_limits=requests.FUTURES_LIMITS,
    routes=requests.FUTURES_ROUTES,
    rest_prefix="/fapi/v1",
    metadata_weight=requests.FUTURES_METADATA_WEIGHT,
    snapshot_weights=requests.FUTURES_SNAPSHOT_WEIGHTS,
    depth_speeds_ms=(100, 250, 500),
    depth_speed_ms_default=250,
    snapshot_depths=(5, 10, 20, 50, 100, 500, 1000),
    decode_instruments=instruments.decode_futures_instruments,
)


class _BinanceAdapter:
    """The common part of both adapters."""

    pushes_snapshot = False
    requires_login = False

    def __init__(self, stream_url: str, rest_url: str, settings: BinanceSettings, market: MarketSpec) -> None:
        check_settings(settings, market.depth_speeds_ms, market.snapshot_depths)
        self.rest_url = rest_url
        self.venue, self.sequence_rule, self.limits = market.venue, market.sequence_rule, market.venue_limits
        self._stream_url, self._settings, self._market = stream_url.rstrip("/"), settings, market
        self._registry = InstrumentRegistry(())
        self._decoder: Decoder = SpotDecoder(market.venue)

    def instrument_requests(self) -> Sequence[RestRequest]:
        """Return the request for the exchange information."""
        return (RestRequest(path=f"{self._market.rest_prefix}/exchangeInfo", weight=self._market.metadata_weight),)

    def decode_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Decode the exchange information."""
        return self._market.decode_instruments(bodies)

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments that frames are decoded for from now on."""
        self._registry = registry
        self._decoder.symbols = {venue_symbol: one.symbol for venue_symbol, one in registry.by_venue_symbol.items()}

    def plan_connections(self, symbols: Sequence[Symbol]) -> tuple[ConnectionPlan, ...]:
        """Return the connections for these symbols; no connection mixes streams of two routes."""
        wanted = [self._registry.require(symbol) for symbol in dict.fromkeys(symbols)]
        listed = requests.topics(wanted, self._settings, self._market.depth_speed_ms_default)
        return requests.plan_connections(
            self._stream_url, listed, self._market.routes, self.limits.topics_per_connection
        )

    def login_messages(self) -> Iterable[str]:
        """Return nothing: market data is public."""
        return ()

    def subscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one subscribe request."""
        number = requests.to_wire_id(request_id, is_unsubscribe=False)
        return requests.encode_request("SUBSCRIBE", names, self._market.routes, number)

    def unsubscribe_message(self, names: Sequence[str], request_id: int) -> str:
        """Encode one unsubscribe request."""
        number = requests.to_wire_id(request_id, is_unsubscribe=True)
        return requests.encode_request("UNSUBSCRIBE", names, self._market.routes, number)

    def ping_message(self) -> str | None:
        """Return None: a websocket ping is used."""
        return None

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Decode one frame of the stream."""
        return self._decoder.decode(frame, received_at_ns)

    def snapshot_request(self, symbol: Symbol) -> RestRequest:
        """Return the request for an order book of the configured depth, with its weight."""
        venue_symbol, depth = self._registry.require(symbol).venue_symbol, self._settings.snapshot_depth
        path = f"{self._market.rest_prefix}/depth?symbol={quote(venue_symbol)}&limit={depth}"
        return RestRequest(path=path, weight=requests.snapshot_weight(self._market.snapshot_weights, depth))

    def decode_snapshot(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Decode the response. It names no symbol, and on spot no time: there the receive time is used."""
        try:
            response = _snapshot_decoder.decode(body)
        except DECODE_ERRORS as error:
            raise ProtocolError(f"{symbol}: no snapshot: {error}; {body[:DETAIL_CHARACTERS_MAX]!r}") from error
        return DepthSnapshot(
            symbol=symbol,
            last_id=response.last_update_id,
            bids=response.bids,
            asks=response.asks,
            venue_at_ns=timestamp_ns(response.E) or received_at_ns,
            received_at_ns=received_at_ns,
            is_pushed=False,
            depth_max=self._settings.snapshot_depth,
        )

    def is_permanent_status(self, status: int) -> bool:
        """Return whether an HTTP status means that a retry cannot succeed."""
        return requests.is_permanent_status(status)


class BinanceSpotAdapter(_BinanceAdapter):
    """Adapter of the spot market."""

    def __init__(self, stream_url: str, rest_url: str, settings: BinanceSettings) -> None:
        super().__init__(stream_url, rest_url, settings, SPOT_MARKET)


class BinanceFuturesAdapter(_BinanceAdapter):
    """Adapter of USD-M futures. Books and quotes use one route, trades another, so it needs two connections."""

    def __init__(self, stream_url: str, rest_url: str, settings: BinanceSettings) -> None:
        super().__init__(stream_url, rest_url, settings, FUTURES_MARKET)
        self._decoder = FuturesDecoder(FUTURES_MARKET.venue)
