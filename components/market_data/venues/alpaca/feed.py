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
from components.market_data.core.feed import Batch, Dropped, Subscribed
from components.market_data.core.timestamps import parse_timestamp
from components.market_data.venues.alpaca.failures import of_code
from components.market_data.venues.alpaca.messages import AlpacaQuote, AlpacaTrade, Failure, decode
from components.market_data.venues.alpaca.session import MS_PER_S, Keys, Session, open_session
from components.runtime.clock import Clock
from components.runtime.retry import Backoff

ALPACA: Final = Venue("alpaca")


class AlpacaFeed:
    """Connects, listens, and connects again; everything it learns goes to `deliver`."""

    def __init__(
        self, config: AlpacaConfig, keys: Keys, symbols: Sequence[Symbol], clock: Clock, chance: Callable[[], float]
    ) -> None:
        """Take what a connection needs; `chance` gives numbers in [0, 1) for the jitter."""
        self._config = config
        self._keys = keys
        self._symbols = symbols
        self._clock = clock
        self._chance = chance
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self._failures = 0
        self._mutes = 0

    async def run(self, deliver: Callable[[object], None]) -> None:
        """Listen for ever; after a refusal that is final only wait to be stopped."""
        while True:
            try:
                await self._listen(deliver)
            except VenueUnavailable as error:
                self._failures += 1
                deliver(Dropped(str(error), final=False))
                await asyncio.sleep(self._backoff.delay_ms(self._failures, self._chance()) / MS_PER_S)
            except VenueRejected as error:
                deliver(Dropped(self._explain(error), final=True))
                await asyncio.get_running_loop().create_future()

    async def _listen(self, deliver: Callable[[object], None]) -> None:
        async with open_session(self._config, self._keys, self._symbols) as session:
            deliver(Subscribed())
            try:
                await self._stream(session, deliver)
            except TimeoutError as error:
                self._mutes += 1
                raise VenueUnavailable("the venue is mute: connected, but no frame came") from error

    async def _stream(self, session: Session, deliver: Callable[[object], None]) -> None:
        now_s = asyncio.get_running_loop().time
        patience_s = self._patience_ms() / MS_PER_S
        async with asyncio.timeout(patience_s) as patience:
            while True:
                frame = await session.receive()
                patience.reschedule(now_s() + patience_s)
                deliver(read_frame(frame, self._clock.now_ns()))
                self._failures = self._mutes = 0

    def _patience_ms(self) -> int:
        # Outside its session a healthy venue is mute too: each mute connection makes the next one more patient.
        doubled = self._config.mute_ms_first << min(self._mutes, 16)
        return min(doubled, self._config.mute_ms_max)

    def _explain(self, error: VenueRejected) -> str:
        return f"{error} [{self._config.stream_url}, {len(self._symbols)} symbols: {', '.join(self._symbols)}]"


def read_frame(frame: bytes, now_ns: int) -> Batch:
    """Put a frame into everybody's words, stamped now; a complaint in it ends the connection."""
    decoded = decode(frame)
    messages: list[Quote | Trade] = []
    malformed = decoded.malformed
    for message in decoded.messages:
        try:
            if isinstance(message, AlpacaQuote):
                messages.append(_quote(message, now_ns))
            elif isinstance(message, AlpacaTrade):
                messages.append(_trade(message, now_ns))
            elif isinstance(message, Failure):
                raise of_code(message.code, message.msg)
        except ValueError:
            malformed += 1
    return Batch(tuple(messages), decoded.unknown, malformed)


def _quote(quote: AlpacaQuote, now_ns: int) -> Quote:
    return Quote(
        ALPACA, Symbol(quote.S), quote.bp, quote.bs, quote.ap, quote.ask_size, parse_timestamp(quote.t), now_ns
    )


def _trade(trade: AlpacaTrade, now_ns: int) -> Trade:
    return Trade(ALPACA, Symbol(trade.S), trade.p, trade.s, parse_timestamp(trade.t), now_ns)
