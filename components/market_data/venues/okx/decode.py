"""Decodes OKX's data frames and fetched books into snapshots, updates, quotes and trades.

Levels keep the venue's texts, over which the checksum is computed.
"""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from components.contracts.errors import ProtocolError
from components.contracts.market import Quote, Trade
from components.contracts.values import ZERO, Symbol
from components.market_data.core.events import NO_ID, DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind, MarketEvent
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.core.numerics import DecimalCache, Level, PriceCache
from components.market_data.venues.adapter import DECODE_ERRORS
from components.market_data.venues.deduplication import TradeDeduplicator, TradeNovelty
from components.market_data.venues.okx.instruments import OKX
from components.market_data.venues.okx.messages import (
    AnyLevel,
    ChannelArgument,
    DepthRow,
    FullLevel,
    PushMessage,
    Response,
    TradeRow,
)
from components.market_data.venues.okx.requests import TRADES, ChecksumMode, DepthChannel, OkxSettings
from components.runtime.clock import NS_PER_MS

INSTRUMENT_ID: Final = re.compile(rb'"instId"\s*:\s*"([\w.-]{1,64})"', re.ASCII)
ONE: Final = Decimal(1)
NO_ERROR: Final = "0"
AnyDepthRow: TypeAlias = DepthRow[FullLevel] | DepthRow[AnyLevel]
_full_depth_decoder: Final = msgspec.json.Decoder(PushMessage[DepthRow[FullLevel]], strict=False)
_any_depth_decoder: Final = msgspec.json.Decoder(PushMessage[DepthRow[AnyLevel]], strict=False)
_trades_decoder: Final = msgspec.json.Decoder(PushMessage[TradeRow], strict=False)
_snapshot_decoder: Final = msgspec.json.Decoder(Response[DepthRow[AnyLevel]], strict=False)


class Decoder:
    """Decodes the data frames of the configured channels for the known instruments."""

    def __init__(self, settings: OkxSettings) -> None:
        self._channel = settings.depth_channel
        self._uses_checksums = settings.checksum is ChecksumMode.NON_ZERO
        self._emits_quotes = settings.quotes
        self._trade_age_ns_max = settings.cached_trade_age_ms_max * NS_PER_MS
        self._instruments: dict[str, Instrument] = {}
        self._symbols: dict[str, Symbol] = {}
        self._deduplicators: dict[str, TradeDeduplicator] = {}
        self._prices, self._sizes = PriceCache(), DecimalCache()
        self._readers: dict[str, Callable[[bytes, int], Sequence[MarketEvent]]] = {}
        if settings.trades:
            self._readers[TRADES] = self.decode_trades
        if settings.quotes:
            self._readers[DepthChannel.BBO_TBT] = self.decode_quotes
        self._readers[self._channel] = self.decode_depth

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments that frames are decoded for from now on."""
        self._instruments = dict(registry.by_venue_symbol)
        self._symbols = {venue_symbol: one.symbol for venue_symbol, one in registry.by_venue_symbol.items()}
        self._deduplicators = {
            venue_symbol: deduplicator
            for venue_symbol, deduplicator in self._deduplicators.items()
            if venue_symbol in self._symbols
        }

    def on_trades_subscribed(self, venue_symbol: str) -> None:
        """Record that the trades of an instrument were subscribed: the next trade may be the cached one."""
        deduplicator = self._deduplicators.get(venue_symbol)
        if deduplicator is not None:
            deduplicator.on_subscribed()

    def decode(self, channel: str, frame: bytes, received_at_ns: int) -> Sequence[MarketEvent]:
        """Decode a frame of any configured channel."""
        reader = self._readers.get(channel)
        if reader is None:
            return (DecodeIssue(IssueKind.UNKNOWN, f"channel {channel}"),)
        return reader(frame, received_at_ns)

    def decode_depth(self, frame: bytes, received_at_ns: int) -> Sequence[MarketEvent]:
        """Decode a frame of the depth channel."""
        try:
            push = _decode_depth_push(frame)
        except DECODE_ERRORS as error:
            return (DecodeIssue(IssueKind.MALFORMED, str(error), self._symbol_in(frame)),)
        argument = push.arg
        symbol = self._symbols.get(argument.inst_id)
        if symbol is None or argument.channel != self._channel:
            return (_unlisted(argument),)
        events = [self._to_depth(symbol, push.action, row, received_at_ns) for row in push.data]
        if self._channel is DepthChannel.BBO_TBT and self._emits_quotes:
            events += self._to_quotes(self._instruments[argument.inst_id], push.data, received_at_ns)
        return events

    def decode_quotes(self, frame: bytes, received_at_ns: int) -> Sequence[MarketEvent]:
        """Decode a frame of the best bid and ask."""
        try:
            push = _decode_depth_push(frame)
        except DECODE_ERRORS as error:
            return (DecodeIssue(IssueKind.MALFORMED, str(error)),)
        instrument = self._instruments.get(push.arg.inst_id)
        if instrument is None or push.arg.channel != DepthChannel.BBO_TBT:
            return (_unlisted(push.arg),)
        return self._to_quotes(instrument, push.data, received_at_ns)

    def decode_trades(self, frame: bytes, received_at_ns: int) -> Sequence[MarketEvent]:
        """Decode a frame of trades; repeated trades, and a cached trade older than the limit, are dropped."""
        try:
            push = _trades_decoder.decode(frame)
        except DECODE_ERRORS as error:
            return (DecodeIssue(IssueKind.MALFORMED, str(error)),)
        instrument = self._instruments.get(push.arg.inst_id)
        if instrument is None or push.arg.channel != TRADES:
            return (_unlisted(push.arg),)
        deduplicator = self._deduplicators.get(instrument.venue_symbol)
        if deduplicator is None:
            deduplicator = self._deduplicators[instrument.venue_symbol] = TradeDeduplicator(self._trade_age_ns_max)
        events = [self._to_trade(instrument, deduplicator, row, received_at_ns) for row in push.data]
        return [one for one in events if one is not None]

    def _to_depth(self, symbol: Symbol, action: str, row: AnyDepthRow, received_at_ns: int) -> MarketEvent:
        if not row.ts:
            return DecodeIssue(IssueKind.OUT_OF_RANGE, "an order book without a timestamp", symbol)
        if action == "update":
            return self._to_update(symbol, row, received_at_ns)
        if action != "snapshot" and self._channel.is_chained:
            return DecodeIssue(IssueKind.UNKNOWN, f"action {action[:40]!r}", symbol)
        return DepthSnapshot(
            symbol,
            NO_ID if row.seq_id is None else row.seq_id,
            row.bids,
            row.asks,
            row.ts * NS_PER_MS,
            received_at_ns,
            is_pushed=True,
            checksum=(row.checksum or 0) if self._uses_checksums else 0,
        )

    def _to_update(self, symbol: Symbol, row: AnyDepthRow, received_at_ns: int) -> MarketEvent:
        prev_id, last_id = row.prev_seq_id, row.seq_id
        if prev_id is None or last_id is None:
            if prev_id is not last_id:
                return DecodeIssue(IssueKind.MALFORMED, f"only one of two ids: {prev_id}, {last_id}", symbol)
            prev_id = last_id = NO_ID
        checksum = (row.checksum or 0) if self._uses_checksums else 0
        return DepthUpdate(symbol, prev_id, last_id, row.bids, row.asks, row.ts * NS_PER_MS, received_at_ns, checksum)

    def _to_quotes(self, instrument: Instrument, rows: Sequence[AnyDepthRow], received_at_ns: int) -> list[MarketEvent]:
        return [self._to_quote(instrument, row, received_at_ns) for row in rows]

    def _to_quote(self, instrument: Instrument, row: AnyDepthRow, received_at_ns: int) -> MarketEvent:
        try:
            bid_price, bid_size = self._best(row.bids, instrument)
            ask_price, ask_size = self._best(row.asks, instrument)
        except ValueError as error:
            return DecodeIssue(IssueKind.OUT_OF_RANGE, str(error))
        at_ns = row.ts * NS_PER_MS
        return Quote(OKX, instrument.symbol, bid_price, bid_size, ask_price, ask_size, at_ns, received_at_ns)

    def _best(self, levels: Sequence[Level], instrument: Instrument) -> tuple[Decimal, Decimal]:
        if not levels:
            return ZERO, ZERO
        best = levels[0]
        return self._prices[best[0]], self._size(best[1], instrument)

    def _to_trade(
        self, instrument: Instrument, deduplicator: TradeDeduplicator, row: TradeRow, received_at_ns: int
    ) -> MarketEvent | None:
        try:
            price, size = self._prices[row.px], self._size(row.sz, instrument)
        except ValueError as error:
            return DecodeIssue(IssueKind.OUT_OF_RANGE, str(error))
        at_ns = row.ts * NS_PER_MS
        match deduplicator.classify(row.trade_id, received_at_ns - at_ns):
            case TradeNovelty.NEW:
                return Trade(OKX, instrument.symbol, price, size, at_ns, received_at_ns)
            case TradeNovelty.OUT_OF_ORDER:
                return DecodeIssue(IssueKind.OUT_OF_RANGE, f"trade {row.trade_id} is not above the last id")
            case TradeNovelty.REPEATED:
                return None

    def _size(self, text: str, instrument: Instrument) -> Decimal:
        size = self._sizes[text]
        return size if instrument.contract_multiplier == ONE else size * instrument.contract_multiplier

    def _symbol_in(self, frame: bytes) -> Symbol | None:
        """Return the symbol of a depth frame that cannot be decoded, so that its book resynchronizes."""
        found = INSTRUMENT_ID.search(frame)
        return None if found is None else self._symbols.get(found[1].decode("ascii"))


def _decode_depth_push(frame: bytes) -> PushMessage[DepthRow[FullLevel]] | PushMessage[DepthRow[AnyLevel]]:
    try:
        return _full_depth_decoder.decode(frame)
    except msgspec.ValidationError:
        # Levels of another length, as in old recordings. Where the frame is invalid, this decoder raises the error.
        return _any_depth_decoder.decode(frame)


def _unlisted(argument: ChannelArgument) -> DecodeIssue:
    return DecodeIssue(IssueKind.UNLISTED, f"{argument.channel[:40]} of {argument.inst_id[:64]}")


def decode_snapshot(symbol: Symbol, body: bytes, received_at_ns: int) -> DepthSnapshot:
    """Decode a fetched order book; raise ProtocolError where the body holds none, or one without a sequence id."""
    row = _single_row(symbol, body)
    if row.seq_id is None:
        raise ProtocolError(f"{symbol}: a snapshot without seqId cannot be joined to the stream")
    at_ns = row.ts * NS_PER_MS
    return DepthSnapshot(symbol, row.seq_id, row.bids, row.asks, at_ns, received_at_ns, is_pushed=False)


def _single_row(symbol: Symbol, body: bytes) -> DepthRow[AnyLevel]:
    try:
        response = _snapshot_decoder.decode(body)
    except DECODE_ERRORS as error:
        raise ProtocolError(f"{symbol}: cannot decode the snapshot: {error}") from error
    if response.code != NO_ERROR or len(response.data) != 1:
        raise ProtocolError(
            f"{symbol}: no snapshot: {response.code[:20]} {response.msg[:200]} ({len(response.data)} books)"
        )
    return response.data[0]
