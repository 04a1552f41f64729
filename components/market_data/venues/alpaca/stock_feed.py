"""The feed of Alpaca's stock stream.

It connects, authenticates, subscribes, decodes, and reconnects until a rejection is permanent. `stream_url` selects the
feed: /v2/iex (one exchange, free), /v2/sip (all exchanges, paid), /v2/test (FAKEPACA).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from typing_extensions import override
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException

from components.contracts.errors import VenueRejected, VenueUnavailable
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.config import AlpacaConfig
from components.market_data.core.events import StockFeedDown, StockFeedUp, StockFrame
from components.market_data.venues.adapter import ApiCredentials
from components.market_data.venues.alpaca.messages import (
    Authenticate,
    ErrorMessage,
    StockMessage,
    StockQuote,
    StockSubscription,
    StockTrade,
    SubscribeStocks,
    Success,
    decode_stock_frame,
    encode_request,
    error_from_code,
    error_from_status,
    parse_timestamp,
)
from components.runtime.clock import Clock
from components.runtime.retry import Backoff

MS_PER_S: Final = 1_000
ALPACA_STOCKS: Final = Venue("alpaca")


class StockConnection:
    """An open connection; frames are returned undecoded, because their receive time is taken when they are decoded."""

    def __init__(self, connection: ClientConnection, reply_ms_max: int) -> None:
        """Wrap a connection that has just been opened."""
        self._connection = connection
        self._reply_s_max = reply_ms_max / MS_PER_S
        self._replies: list[StockMessage] = []

    async def authenticate(self, credentials: ApiCredentials) -> None:
        """Run Alpaca's handshake: wait for "connected", then authenticate."""
        await self._expect_success("connected")
        key, secret = credentials.reveal()
        await self._connection.send(encode_request(Authenticate(key, secret)))
        await self._expect_success("authenticated")

    async def subscribe(self, symbols: Sequence[Symbol]) -> None:
        """Subscribe to trades and quotes, and compare the reply, which is always the complete set, with the request."""
        await self._connection.send(encode_request(SubscribeStocks(tuple(symbols), tuple(symbols))))
        reply = await self._next_reply()
        if not isinstance(reply, StockSubscription):
            raise VenueUnavailable(f"the venue replied to the subscription with {type(reply).__name__}")
        missing = sorted(set(symbols) - (set(reply.trades) & set(reply.quotes)))
        if missing:
            raise VenueUnavailable(f"missing in the subscription: {', '.join(missing)}")

    async def receive(self) -> bytes:
        """Wait for the next frame and return it."""
        return await self._connection.recv(decode=False)

    async def _expect_success(self, expected: str) -> None:
        reply = await self._next_reply()
        if not isinstance(reply, Success) or reply.msg != expected:
            raise VenueUnavailable(f"expected {expected!r} from the venue, received {reply}")

    async def _next_reply(self) -> StockMessage:
        # One array may hold several replies, and a server may send none at all: each wait has a timeout.
        async with asyncio.timeout(self._reply_s_max):
            while not self._replies:
                self._replies += decode_stock_frame(await self.receive()).messages
        reply = self._replies.pop(0)
        if isinstance(reply, ErrorMessage):
            raise error_from_code(reply.code, reply.msg)
        return reply


@asynccontextmanager
async def open_connection(
    config: AlpacaConfig, credentials: ApiCredentials, symbols: Sequence[Symbol]
) -> AsyncIterator[StockConnection]:
    """Connect, authenticate and subscribe; close with a handshake at the end, as an account has one connection."""
    try:
        async with _connect(config) as connection:
            try:
                session = StockConnection(connection, config.reply_timeout_ms)
                await session.authenticate(credentials)
                await session.subscribe(symbols)
                yield session
            finally:
                # A regular stop is not an internal error (1011): close with the normal code.
                await connection.close()
    except InvalidStatus as error:
        raise error_from_status(error.response.status_code) from error
    except InvalidURI as error:
        raise VenueRejected(f"stream_url: {error}") from error
    except ConnectionClosed as error:
        raise VenueUnavailable(f"the connection ended: {error}") from error
    except TimeoutError as error:
        raise VenueUnavailable("the venue did not reply in time") from error
    except (WebSocketException, OSError) as error:
        raise VenueUnavailable(f"cannot connect to {config.stream_url}: {error}") from error


class _DirectConnect(connect):
    """Connects to the configured host only: credentials must not follow a redirect."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _connect(config: AlpacaConfig) -> connect:
    return _DirectConnect(
        config.stream_url,
        compression=None,  # inflating costs more than the bytes it saves on one host or within one data centre
        proxy=None,
        open_timeout=config.connect_timeout_ms / MS_PER_S,
        close_timeout=config.close_timeout_ms / MS_PER_S,
        ping_interval=config.ping_every_ms / MS_PER_S,
        ping_timeout=config.pong_timeout_ms / MS_PER_S,
        max_size=config.frame_bytes_max,
    )


class AlpacaStockFeed:
    """Keeps one connection to the stock stream and passes everything it receives to `deliver`."""

    def __init__(
        self,
        config: AlpacaConfig,
        credentials: ApiCredentials,
        symbols: Sequence[Symbol],
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        """Store what a connection needs; `jitter` returns numbers in [0, 1) that spread the reconnect delays."""
        self._config = config
        self._credentials = credentials
        self._symbols = symbols
        self._clock = clock
        self._jitter = jitter
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self._failures = 0
        self._silent_connections = 0

    async def run(self, deliver: Callable[[object], None]) -> None:
        """Receive until cancelled; after a permanent rejection only wait for cancellation."""
        while True:
            try:
                await self._run_connection(deliver)
            except VenueUnavailable as error:
                self._failures += 1
                deliver(StockFeedDown(str(error), is_permanent=False))
                await asyncio.sleep(self._backoff.delay_ms(self._failures, self._jitter()) / MS_PER_S)
            except VenueRejected as error:
                deliver(StockFeedDown(self._describe(error), is_permanent=True))
                await asyncio.get_running_loop().create_future()

    async def _run_connection(self, deliver: Callable[[object], None]) -> None:
        async with open_connection(self._config, self._credentials, self._symbols) as session:
            deliver(StockFeedUp())
            try:
                await self._receive_frames(session, deliver)
            except TimeoutError as error:
                self._silent_connections += 1
                raise VenueUnavailable("no data: connected, but no frame was received") from error

    async def _receive_frames(self, session: StockConnection, deliver: Callable[[object], None]) -> None:
        now_s = asyncio.get_running_loop().time
        timeout_s = self._no_data_timeout_ms() / MS_PER_S
        async with asyncio.timeout(timeout_s) as timeout:
            while True:
                frame = await session.receive()
                timeout.reschedule(now_s() + timeout_s)
                deliver(decode_frame(frame, self._clock.now_ns()))
                self._failures = self._silent_connections = 0

    def _no_data_timeout_ms(self) -> int:
        # Outside trading hours a healthy venue sends nothing either: each connection without data doubles the timeout
        # of the next one, up to the configured maximum.
        doubled = self._config.no_data_timeout_ms << min(self._silent_connections, 16)
        return min(doubled, self._config.no_data_timeout_ms_max)

    def _describe(self, error: VenueRejected) -> str:
        return f"{error} [{self._config.stream_url}, {len(self._symbols)} symbols: {', '.join(self._symbols)}]"


def decode_frame(frame: bytes, now_ns: int) -> StockFrame:
    """Decode a frame into quotes and trades received at `now_ns`; raise the exception of an error message in it."""
    decoded = decode_stock_frame(frame)
    messages: list[Quote | Trade] = []
    malformed = decoded.malformed
    for message in decoded.messages:
        try:
            if isinstance(message, StockQuote):
                messages.append(_quote(message, now_ns))
            elif isinstance(message, StockTrade):
                messages.append(_trade(message, now_ns))
            elif isinstance(message, ErrorMessage):
                raise error_from_code(message.code, message.msg)
        except ValueError:
            malformed += 1
    return StockFrame(tuple(messages), decoded.unknown, malformed)


def _quote(quote: StockQuote, now_ns: int) -> Quote:
    return Quote(
        ALPACA_STOCKS, Symbol(quote.S), quote.bp, quote.bs, quote.ap, quote.ask_size, parse_timestamp(quote.t), now_ns
    )


def _trade(trade: StockTrade, now_ns: int) -> Trade:
    return Trade(ALPACA_STOCKS, Symbol(trade.S), trade.p, trade.s, parse_timestamp(trade.t), now_ns)
