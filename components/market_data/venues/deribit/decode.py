"""Decodes Deribit's notifications and fetched books into venue-neutral market events."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from components.contracts.errors import ProtocolError
from components.contracts.market import Quote, Trade
from components.contracts.values import ZERO, Symbol
from components.market_data.core.book.order_book import NO_LEVELS
from components.market_data.core.events import DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind, MarketEvent
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.core.numerics import DecimalCache, JsonNumber, Levels, NumberTexts
from components.market_data.venues.adapter import DECODE_ERRORS
from components.market_data.venues.deribit.instruments import DERIBIT
from components.market_data.venues.deribit.messages import (
    LevelChange,
    TradeData,
    book_decoder,
    quote_decoder,
    snapshot_decoder,
    trades_decoder,
)
from components.runtime.clock import NS_PER_MS

CHANNEL_FIELD: Final = b'"channel":"'
CHANNEL_SEARCH_BYTES: Final = 128
"""The channel stands near the beginning of a notification, before its data."""
CACHED_CHANNELS_MAX: Final = 16_384


class ChannelInstruments(dict[str, Instrument | None]):
    """The instrument of each channel, by the channel's full name; filled on first use."""

    def __init__(self, registry: InstrumentRegistry) -> None:
        super().__init__()
        self._registry = registry

    def __missing__(self, channel: str) -> Instrument | None:
        """Parse the name of a channel seen for the first time; the cache is bounded."""
        parts = channel.split(".")
        instrument = self._registry.by_venue_symbol.get(parts[1]) if 2 <= len(parts) <= 3 else None
        if len(self) >= CACHED_CHANNELS_MAX:
            self.clear()
        self[channel] = instrument
        return instrument


class Decoder:
    """Decodes the notifications of the subscribed channels."""

    def __init__(self) -> None:
        self._texts = NumberTexts()
        self._numbers = DecimalCache()
        self._channels = ChannelInstruments(InstrumentRegistry(()))

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments that frames are decoded for."""
        self._channels = ChannelInstruments(registry)

    def decode_books(self, frame: bytes, received_at_ns: int) -> Sequence[MarketEvent]:
        """Decode a snapshot or an update of a book."""
        params = book_decoder.decode(frame).params
        data = params.data
        instrument = self._channels[params.channel]
        if instrument is None or instrument.venue_symbol != data.instrument_name:
            return (_unlisted(params.channel, data.instrument_name),)
        # Most updates change one side only.
        bids = self._updated_levels(data.bids) if data.bids else NO_LEVELS
        asks = self._updated_levels(data.asks) if data.asks else NO_LEVELS
        at_ns = data.timestamp * NS_PER_MS
        symbol, last_id, prev_id = instrument.symbol, data.change_id, data.prev_change_id
        if data.type == "snapshot":
            return (DepthSnapshot(symbol, last_id, bids, asks, at_ns, received_at_ns, is_pushed=True),)
        if prev_id is None:
            return (DecodeIssue(IssueKind.MALFORMED, f"change {last_id} has no previous id", symbol),)
        return (DepthUpdate(symbol, prev_id, last_id, bids, asks, at_ns, received_at_ns),)

    def decode_quotes(self, frame: bytes, received_at_ns: int) -> Sequence[MarketEvent]:
        """Decode the best bid and ask."""
        params = quote_decoder.decode(frame).params
        data = params.data
        instrument = self._channels[params.channel]
        if instrument is None or instrument.venue_symbol != data.instrument_name:
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

    def decode_trades(self, frame: bytes, received_at_ns: int) -> Sequence[MarketEvent]:
        """Decode trades, sorted by the venue's sequence number."""
        params = trades_decoder.decode(frame).params
        instrument = self._channels[params.channel]
        trades = params.data
        if len(trades) > 1:
            trades.sort(key=_trade_sequence)
        return [self._to_trade(one, instrument, params.channel, received_at_ns) for one in trades]

    def decode_snapshot(self, instrument: Instrument, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Decode a fetched order book; raise ProtocolError where the body holds none of this instrument."""
        try:
            data = snapshot_decoder.decode(body).result
            bids, asks = self._levels(data.bids), self._levels(data.asks)
        except DECODE_ERRORS as error:
            raise ProtocolError(f"{instrument.symbol}: no order book: {error}") from error
        if data.instrument_name != instrument.venue_symbol:
            raise ProtocolError(
                f"{instrument.symbol}: requested {instrument.venue_symbol}, received {data.instrument_name}"
            )
        at_ns = data.timestamp * NS_PER_MS
        return DepthSnapshot(instrument.symbol, data.change_id, bids, asks, at_ns, received_at_ns, is_pushed=False)

    def symbol_in(self, frame: bytes) -> Symbol | None:
        """Return the symbol of a frame that cannot be decoded, if its channel names one."""
        start = frame.find(CHANNEL_FIELD) + len(CHANNEL_FIELD)
        channel = frame[start : frame.find(b'"', start)]
        instrument = self._channels[channel.decode("ascii", "replace")]
        return None if instrument is None else instrument.symbol

    def _updated_levels(self, changes: list[LevelChange]) -> Levels:
        texts = self._texts
        return [(texts[price], "0" if action == "delete" else texts[amount]) for action, price, amount in changes]

    def _levels(self, levels: list[tuple[JsonNumber, JsonNumber]]) -> Levels:
        texts = self._texts
        return [(texts[price], texts[amount]) for price, amount in levels]

    def _number(self, literal: JsonNumber) -> Decimal:
        # An empty side is sent as null or as 0.
        return ZERO if literal is None else self._numbers[self._texts[literal]]

    def _to_trade(
        self, one: TradeData, instrument: Instrument | None, channel: str, received_at_ns: int
    ) -> Trade | DecodeIssue:
        if instrument is None or instrument.venue_symbol != one.instrument_name:
            return _unlisted(channel, one.instrument_name)
        price, size = self._numbers[self._texts[one.price]], self._numbers[self._texts[one.amount]]
        return Trade(DERIBIT, instrument.symbol, price, size, one.timestamp * NS_PER_MS, received_at_ns)


def _trade_sequence(one: TradeData) -> int:
    return one.trade_seq


def _unlisted(channel: str, venue_symbol: str) -> DecodeIssue:
    return DecodeIssue(IssueKind.UNLISTED, f"{channel[:80]} carries {venue_symbol[:80]}")
