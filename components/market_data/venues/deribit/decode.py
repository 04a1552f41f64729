"""Deribit's data frames, decoded once into types and put into everybody's words."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from components.contracts.errors import ContractError
from components.contracts.market import Quote, Trade
from components.contracts.values import ZERO, Symbol
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.depth import NO_LEVELS
from components.market_data.core.feed import Data, Odd, Oddity
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.core.levels import Levels, Numbers
from components.market_data.venues.deribit.instruments import DERIBIT, NS_PER_MS
from components.market_data.venues.deribit.messages import (
    STRANGE,
    Change,
    Print,
    books,
    images,
    quotes,
    trades,
)
from components.market_data.venues.literals import Literally, Texts

CHANNEL: Final = b'"channel":"'
CHANNEL_WITHIN: Final = 128
"""The channel stands near the beginning of a notification, before its data."""
CHANNELS_MAX: Final = 16_384


class Channels(dict[str, Instrument | None]):
    """Which instrument a channel tells of, by its whole name."""

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self._registry = registry

    def __missing__(self, channel: str) -> Instrument | None:
        """Look into a channel's name for the first time."""
        parts = channel.split(".")
        instrument = self._registry.by_native.get(parts[1]) if 2 <= len(parts) <= 3 else None
        if len(self) >= CHANNELS_MAX:
            self.clear()
        self[channel] = instrument
        return instrument


class Frames:
    """Reads what the subscribed channels say."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._numbers = Numbers()
        self._channels = Channels(Registry(()))

    def learn(self, registry: Registry) -> None:
        """Take the instruments that are listened to."""
        self._channels = Channels(registry)

    def books(self, frame: bytes, received_at_ns: int) -> Sequence[Data]:
        """Read a snapshot or a change of a book."""
        params = books.decode(frame).params
        data = params.data
        instrument = self._channels[params.channel]
        if instrument is None or instrument.native != data.instrument_name:
            return (_unlisted(params.channel, data.instrument_name),)
        # Many a change touches one side.
        bids = self._changes(data.bids) if data.bids else NO_LEVELS
        asks = self._changes(data.asks) if data.asks else NO_LEVELS
        at_ns = data.timestamp * NS_PER_MS
        symbol, final, previous = instrument.symbol, data.change_id, data.prev_change_id
        if data.type == "snapshot":
            return (DepthImage(symbol, final, bids, asks, at_ns, received_at_ns, is_pushed=True),)
        if previous is None:
            return (Odd(Oddity.MALFORMED, f"change {final} stands on nothing", symbol),)
        return (DepthChange(symbol, previous, final, bids, asks, at_ns, received_at_ns),)

    def quotes(self, frame: bytes, received_at_ns: int) -> Sequence[Data]:
        """Read the best bid and ask."""
        params = quotes.decode(frame).params
        data = params.data
        instrument = self._channels[params.channel]
        if instrument is None or instrument.native != data.instrument_name:
            return (_unlisted(params.channel, data.instrument_name),)
        number = self._number
        return (
            Quote(
                DERIBIT,
                instrument.symbol,
                number(data.best_bid_price),
                number(data.best_bid_amount),
                number(data.best_ask_price),
                number(data.best_ask_amount),
                data.timestamp * NS_PER_MS,
                received_at_ns,
            ),
        )

    def trades(self, frame: bytes, received_at_ns: int) -> Sequence[Data]:
        """Read prints, in the order in which the venue counts them."""
        params = trades.decode(frame).params
        instrument = self._channels[params.channel]
        prints = params.data
        if len(prints) > 1:
            prints.sort(key=_sequence)
        return [self._print(one, instrument, params.channel, received_at_ns) for one in prints]

    def image(self, instrument: Instrument, body: bytes, received_at_ns: int) -> DepthImage:
        """Read a book that was fetched."""
        try:
            data = images.decode(body).result
            bids, asks = self._pairs(data.bids), self._pairs(data.asks)
        except STRANGE as error:
            raise ContractError(f"{instrument.symbol}: this is no book: {error}") from error
        if data.instrument_name != instrument.native:
            raise ContractError(f"{instrument.symbol}: asked for {instrument.native}, got {data.instrument_name}")
        at_ns = data.timestamp * NS_PER_MS
        return DepthImage(instrument.symbol, data.change_id, bids, asks, at_ns, received_at_ns, is_pushed=False)

    def told_of(self, frame: bytes) -> Symbol | None:
        """Say which symbol a frame is about that cannot be read, as far as its channel can."""
        start = frame.find(CHANNEL) + len(CHANNEL)
        channel = frame[start : frame.find(b'"', start)]
        instrument = self._channels[channel.decode("ascii", "replace")]
        return None if instrument is None else instrument.symbol

    def _changes(self, changes: list[Change]) -> Levels:
        texts = self._texts
        return [(texts[price], "0" if action == "delete" else texts[amount]) for action, price, amount in changes]

    def _pairs(self, levels: list[tuple[Literally, Literally]]) -> Levels:
        texts = self._texts
        return [(texts[price], texts[amount]) for price, amount in levels]

    def _number(self, literal: Literally) -> Decimal:
        # A side without orders is null or 0, as the venue pleases.
        return ZERO if literal is None else self._numbers[self._texts[literal]]

    def _print(self, one: Print, instrument: Instrument | None, channel: str, received_at_ns: int) -> Trade | Odd:
        if instrument is None or instrument.native != one.instrument_name:
            return _unlisted(channel, one.instrument_name)
        price, size = self._numbers[self._texts[one.price]], self._numbers[self._texts[one.amount]]
        return Trade(DERIBIT, instrument.symbol, price, size, one.timestamp * NS_PER_MS, received_at_ns)


def _sequence(one: Print) -> int:
    return one.trade_seq


def _unlisted(channel: str, native: str) -> Odd:
    return Odd(Oddity.UNLISTED, f"{channel[:80]} tells of {native[:80]}")
