"""Binance's two markets, each as one dialect: what to ask, where, and how to read the answers."""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final
from urllib.parse import quote

import msgspec
from msgspec import Struct

from components.contracts.errors import ContractError
from components.contracts.values import Symbol, Venue
from components.market_data.core.changes import DepthImage
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.core.rules import Rule
from components.market_data.venues.binance import instruments, limits, subscribe
from components.market_data.venues.binance.decode import Decoder, SpotDecoder, UmDecoder
from components.market_data.venues.binance.limits import Weights
from components.market_data.venues.binance.messages import DETAIL_MAX, STRANGE, Image, stamp_ns
from components.market_data.venues.binance.rule import SPOT_RULE, UM_RULE
from components.market_data.venues.binance.settings import BinanceSettings, check
from components.market_data.venues.dialect import Ask, Limits, LinePlan, Read

_image: Final = msgspec.json.Decoder(Image)


class Market(Struct, frozen=True, kw_only=True):
    """In what the two markets differ."""

    venue: Venue
    rule: Rule
    limits: Limits
    routes: subscribe.Routes
    rest: str
    metadata_weight: int
    weights: Weights
    speeds_ms: Container[int]
    speed_ms_default: int
    depths: Container[int]
    read_instruments: Callable[[Sequence[bytes]], list[Instrument]]


SPOT: Final = Market(
    venue=instruments.SPOT,
    rule=SPOT_RULE,
    limits=limits.SPOT_LIMITS,
    routes=subscribe.SPOT_ROUTES,
    rest="/api/v3",
    metadata_weight=limits.SPOT_METADATA_WEIGHT,
    weights=limits.SPOT_WEIGHTS,
    speeds_ms=(100, 1000),
    speed_ms_default=1000,
    depths=range(100, 5001),
    read_instruments=instruments.read_spot,
)
UM: Final = Market(
    venue=instruments.UM,
    rule=UM_RULE,
    limits=limits.UM_LIMITS,
    routes=subscribe.UM_ROUTES,
    rest="/fapi/v1",
    metadata_weight=limits.UM_METADATA_WEIGHT,
    weights=limits.UM_WEIGHTS,
    speeds_ms=(100, 250, 500),
    speed_ms_default=250,
    depths=(5, 10, 20, 50, 100, 500, 1000),
    read_instruments=instruments.read_um,
)


class _Dialect:
    """What both markets say in the same way."""

    pushes_image = False
    greets = False

    def __init__(self, stream_url: str, rest_url: str, settings: BinanceSettings, market: Market) -> None:
        check(settings, market.speeds_ms, market.depths)
        self.rest_url = rest_url
        self.venue, self.rule, self.limits = market.venue, market.rule, market.limits
        self._stream_url, self._settings, self._market = stream_url.rstrip("/"), settings, market
        self._registry = Registry(())
        self._decoder: Decoder = SpotDecoder(market.venue)

    def instrument_asks(self) -> Sequence[Ask]:
        """Ask for the exchange information."""
        return (Ask(path=f"{self._market.rest}/exchangeInfo", weight=self._market.metadata_weight),)

    def read_instruments(self, bodies: Sequence[bytes]) -> list[Instrument]:
        """Read what is listed."""
        return self._market.read_instruments(bodies)

    def learn(self, registry: Registry) -> None:
        """Take the instruments by whose names frames are read from now on."""
        self._registry = registry
        self._decoder.symbols = {native: one.symbol for native, one in registry.by_native.items()}

    def plan(self, symbols: Sequence[Symbol]) -> tuple[LinePlan, ...]:
        """Spread the subscriptions of these symbols over connections, no route with another's streams."""
        wanted = [self._registry.require(symbol) for symbol in dict.fromkeys(symbols)]
        listed = subscribe.topics(wanted, self._settings, self._market.speed_ms_default)
        return subscribe.plan(self._stream_url, listed, self._market.routes, self.limits.topics_per_line)

    def hello(self) -> Iterable[str]:
        """Say nothing first: the market's data is for everybody."""
        return ()

    def subscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write one request for these streams."""
        number = subscribe.number_of(request_id, is_ending=False)
        return subscribe.write("SUBSCRIBE", names, self._market.routes, number)

    def unsubscribe(self, names: Sequence[str], request_id: int) -> str:
        """Write the request that ends these streams."""
        number = subscribe.number_of(request_id, is_ending=True)
        return subscribe.write("UNSUBSCRIBE", names, self._market.routes, number)

    def ping(self) -> str | None:
        """Leave it to the websocket's own ping."""
        return None

    def read(self, frame: bytes, received_at_ns: int) -> Read:
        """Read one frame of the stream."""
        return self._decoder.read(frame, received_at_ns)

    def image_ask(self, symbol: Symbol) -> Ask:
        """Ask for a whole book, as deep as the settings want it."""
        native, depth = self._registry.require(symbol).native, self._settings.image_depth
        path = f"{self._market.rest}/depth?symbol={quote(native)}&limit={depth}"
        return Ask(path=path, weight=limits.weigh(self._market.weights, depth))

    def read_image(self, symbol: Symbol, body: bytes, received_at_ns: int) -> DepthImage:
        """Read the answer; it names no symbol, and on spot no time, so that of receipt stands in."""
        try:
            said = _image.decode(body)
        except STRANGE as error:
            raise ContractError(f"{symbol}: no image: {error}; {body[:DETAIL_MAX]!r}") from error
        return DepthImage(
            symbol=symbol,
            final=said.last_update_id,
            bids=said.bids,
            asks=said.asks,
            venue_at_ns=stamp_ns(said.E) or received_at_ns,
            received_at_ns=received_at_ns,
            is_pushed=False,
            depth_max=self._settings.image_depth,
        )

    def is_final(self, status: int) -> bool:
        """Say whether an HTTP status means that trying again cannot help."""
        return limits.is_final(status)


class BinanceDialect(_Dialect):
    """The spot market."""

    def __init__(self, stream_url: str, rest_url: str, settings: BinanceSettings) -> None:
        super().__init__(stream_url, rest_url, settings, SPOT)


class BinanceUmDialect(_Dialect):
    """USD-M futures: what is public and what the market did flow on different routes, so it takes two lines."""

    def __init__(self, stream_url: str, rest_url: str, settings: BinanceSettings) -> None:
        super().__init__(stream_url, rest_url, settings, UM)
        self._decoder = UmDecoder(UM.venue)
