"""One connection to Alpaca's stream, from the upgrade to the confirmed subscription.

Alpaca's stock stream as a feed that never gives up, except where trying again cannot help.

Which feed it is says stream_url: /v2/iex (one exchange, free), /v2/sip (all of them, paid), /v2/test (FAKEPACA).
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

MS_PER_S = 1_000
ALPACA_STOCKS: Final = Venue("alpaca")


class StockConnection:
    """A subscribed connection; frames are received raw, for whoever decodes also stamps."""

    def __init__(self, connection: ClientConnection, reply_ms_max: int) -> None:
        """Wrap a connection that has just been opened."""
        self._connection = connection
        self._reply_s_max = reply_ms_max / MS_PER_S
        self._replies: list[StockMessage] = []

    async def authenticate(self, credentials: ApiCredentials) -> None:
        """Go through Alpaca's handshake: wait to be connected, then say who we are."""
        await self._expect_success("connected")
        key, secret = credentials.reveal()
        await self._connection.send(encode_request(Authenticate(key, secret)))
        await self._expect_success("authenticated")

    async def subscribe(self, symbols: Sequence[Symbol]) -> None:
        """Ask for trades and quotes, and hold the answer against what was asked: it is always the whole set."""
        await self._connection.send(encode_request(SubscribeStocks(tuple(symbols), tuple(symbols))))
        reply = await self._next_reply()
        if not isinstance(reply, StockSubscription):
            raise VenueUnavailable(f"the venue replied to the subscription with {type(reply).__name__}")
        missing = sorted(set(symbols) - (set(reply.trades) & set(reply.quotes)))
        if missing:
            raise VenueUnavailable(f"missing in the subscription: {', '.join(missing)}")

    async def receive(self) -> bytes:
        """Wait for the next frame."""
        return await self._connection.recv(decode=False)

    async def _expect_success(self, expected: str) -> None:
        reply = await self._next_reply()
        if not isinstance(reply, Success) or reply.msg != expected:
            raise VenueUnavailable(f"expected {expected!r} from the venue, received {reply}")

    async def _next_reply(self) -> StockMessage:
        # An array may hold more than one reply; and a server may send nothing at all, so each wait has an end.
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
    """Connect, authenticate, subscribe; close cleanly at the end, for the account has only one connection."""
    try:
        async with _connect(config) as connection:
            try:
                session = StockConnection(connection, config.reply_timeout_ms)
                await session.authenticate(credentials)
                await session.subscribe(symbols)
                yield session
            finally:
                # Being stopped is no error of ours (1011): say goodbye as one should.
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
    """Connects to the configured host or not at all: the keys must not follow a redirect."""

    @override
    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


def _connect(config: AlpacaConfig) -> connect:
    return _DirectConnect(
        config.stream_url,
        compression=None,  # inflating costs more than the bytes it saves on one host, or in one data centre
        proxy=None,
        open_timeout=config.connect_timeout_ms / MS_PER_S,
        close_timeout=config.close_timeout_ms / MS_PER_S,
        ping_interval=config.ping_every_ms / MS_PER_S,
        ping_timeout=config.pong_timeout_ms / MS_PER_S,
        max_size=config.frame_bytes_max,
    )


class AlpacaStockFeed:
    """Connects, listens, and connects again; everything it learns goes to `deliver`."""

    def __init__(
        self,
        config: AlpacaConfig,
        credentials: ApiCredentials,
        symbols: Sequence[Symbol],
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        """Take what a connection needs; `chance` gives numbers in [0, 1) for the jitter."""
        self._config = config
        self._credentials = credentials
        self._symbols = symbols
        self._clock = clock
        self._jitter = jitter
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self._failures = 0
        self._silent_connections = 0

    async def run(self, deliver: Callable[[object], None]) -> None:
        """Listen for ever; after a refusal that is final only wait to be stopped."""
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
        # Outside its session a healthy venue is mute too: each mute connection makes the next one more patient.
        doubled = self._config.no_data_timeout_ms << min(self._silent_connections, 16)
        return min(doubled, self._config.no_data_timeout_ms_max)

    def _describe(self, error: VenueRejected) -> str:
        return f"{error} [{self._config.stream_url}, {len(self._symbols)} symbols: {', '.join(self._symbols)}]"


def decode_frame(frame: bytes, now_ns: int) -> StockFrame:
    """Put a frame into everybody's words, stamped now; a complaint in it ends the connection."""
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
