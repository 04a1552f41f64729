"""Alpaca's stock stream as a feed that never gives up, except where trying again cannot help.

Which feed it is says stream_url: /v2/iex (one exchange, free), /v2/sip (all of them, paid), /v2/test (FAKEPACA).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from components.contracts.errors import VenueRejected, VenueUnavailable
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.config import AlpacaConfig
from components.market_data.core.feed import StockFeedDown, StockFeedUp, StockFrame
from components.market_data.core.timestamps import parse_timestamp
from components.market_data.venues.alpaca.failures import error_from_code
from components.market_data.venues.alpaca.messages import ErrorMessage, StockQuote, StockTrade, decode_stock_frame
from components.market_data.venues.alpaca.session import MS_PER_S, StockConnection, StockCredentials, open_connection
from components.runtime.clock import Clock
from components.runtime.retry import Backoff

ALPACA_STOCKS: Final = Venue("alpaca")


class AlpacaStockFeed:
    """Connects, listens, and connects again; everything it learns goes to `deliver`."""

    def __init__(
        self,
        config: AlpacaConfig,
        credentials: StockCredentials,
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
                raise VenueUnavailable("the venue is mute: connected, but no frame came") from error

    async def _receive_frames(self, session: StockConnection, deliver: Callable[[object], None]) -> None:
        now_s = asyncio.get_running_loop().time
        patience_s = self._no_data_timeout_ms() / MS_PER_S
        async with asyncio.timeout(patience_s) as patience:
            while True:
                frame = await session.receive()
                patience.reschedule(now_s() + patience_s)
                deliver(decode_frame(frame, self._clock.now_ns()))
                self._failures = self._silent_connections = 0

    def _no_data_timeout_ms(self) -> int:
        # Outside its session a healthy venue is mute too: each mute connection makes the next one more patient.
        doubled = self._config.mute_ms_first << min(self._silent_connections, 16)
        return min(doubled, self._config.mute_ms_max)

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
