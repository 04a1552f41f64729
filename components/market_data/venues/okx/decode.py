"""Turns OKX's data frames into books, changes, quotes and trades: each parsed once, levels left as their texts."""

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from components.contracts.market import Quote, Trade
from components.contracts.values import ZERO, Symbol
from components.market_data.core.changes import NO_ID, DepthChange, DepthImage
from components.market_data.core.feed import Data, Odd, Oddity
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.core.levels import Level, Numbers, Prices
from components.market_data.venues.okx.frames import AnyLevel, Argument, DepthRow, FullLevel, Pushed, TradeRow
from components.market_data.venues.okx.instruments import NS_PER_MS, OKX
from components.market_data.venues.okx.settings import ChecksumMode, DepthChannel, OkxSettings
from components.market_data.venues.okx.subscribe import TRADES
from components.market_data.venues.okx.tape import Print, Tape

NATIVE: Final = re.compile(rb'"instId"\s*:\s*"([\w.-]{1,64})"', re.ASCII)
BAD_FRAME: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that bytes of a stranger make the decoders raise: bad UTF-8 is a ValueError, deep nesting a RecursionError."""
ONE: Final = Decimal(1)

AnyDepthRow: TypeAlias = DepthRow[FullLevel] | DepthRow[AnyLevel]

_FULL_DEPTH: Final = msgspec.json.Decoder(Pushed[DepthRow[FullLevel]], strict=False)
_ANY_DEPTH: Final = msgspec.json.Decoder(Pushed[DepthRow[AnyLevel]], strict=False)
_TRADES: Final = msgspec.json.Decoder(Pushed[TradeRow], strict=False)


class Decoder:
    """Reads the data of one venue's streams, for the instruments it was told of."""

    def __init__(self, settings: OkxSettings) -> None:
        self._channel = settings.depth_channel
        self._believes_checksums = settings.checksum is ChecksumMode.NON_ZERO
        self._hears_quotes = settings.quotes
        self._trade_age_ns_max = settings.cached_trade_ms_max * NS_PER_MS
        self._instruments: dict[str, Instrument] = {}
        self._symbols: dict[str, Symbol] = {}
        self._tapes: dict[str, Tape] = {}
        self._prices, self._sizes = Prices(), Numbers()
        self._readers: dict[str, Callable[[bytes, int], Sequence[Data]]] = {}
        if settings.trades:
            self._readers[TRADES] = self.trades
        if settings.quotes:
            self._readers[DepthChannel.BEST] = self.quotes
        self._readers[self._channel] = self.depth

    def learn(self, registry: Registry) -> None:
        """Take the instruments that are read of from now on."""
        self._instruments = dict(registry.by_native)
        self._symbols = {native: one.symbol for native, one in registry.by_native.items()}
        self._tapes = {native: tape for native, tape in self._tapes.items() if native in self._symbols}

    def begin(self, native: str) -> None:
        """Hear that the trades of an instrument are subscribed."""
        tape = self._tapes.get(native)
        if tape is not None:
            tape.begin()

    def data(self, channel: str, frame: bytes, received_at_ns: int) -> Sequence[Data]:
        """Read a frame of any channel."""
        reader = self._readers.get(channel)
        if reader is None:
            return (Odd(Oddity.UNKNOWN, f"channel {channel}"),)
        return reader(frame, received_at_ns)

    def depth(self, frame: bytes, received_at_ns: int) -> Sequence[Data]:
        """Read a frame of the channel that books are made from."""
        try:
            pushed = _read_depth(frame)
        except BAD_FRAME as error:
            return (Odd(Oddity.MALFORMED, str(error), self._symbol_in(frame)),)
        argument = pushed.arg
        symbol = self._symbols.get(argument.inst_id)
        if symbol is None or argument.channel != self._channel:
            return (_unlisted(argument),)
        read = [self._depth(symbol, pushed.action, row, received_at_ns) for row in pushed.data]
        if self._channel is DepthChannel.BEST and self._hears_quotes:
            read += self._quotes(self._instruments[argument.inst_id], pushed.data, received_at_ns)
        return read

    def quotes(self, frame: bytes, received_at_ns: int) -> Sequence[Data]:
        """Read a frame of best prices."""
        try:
            pushed = _read_depth(frame)
        except BAD_FRAME as error:
            return (Odd(Oddity.MALFORMED, str(error)),)
        instrument = self._instruments.get(pushed.arg.inst_id)
        if instrument is None or pushed.arg.channel != DepthChannel.BEST:
            return (_unlisted(pushed.arg),)
        return self._quotes(instrument, pushed.data, received_at_ns)

    def trades(self, frame: bytes, received_at_ns: int) -> Sequence[Data]:
        """Read a frame of trades; one that was already seen, or lies before the subscription, is not given."""
        try:
            pushed = _TRADES.decode(frame)
        except BAD_FRAME as error:
            return (Odd(Oddity.MALFORMED, str(error)),)
        instrument = self._instruments.get(pushed.arg.inst_id)
        if instrument is None or pushed.arg.channel != TRADES:
            return (_unlisted(pushed.arg),)
        tape = self._tapes.get(instrument.native)
        if tape is None:
            tape = self._tapes[instrument.native] = Tape(self._trade_age_ns_max)
        read = [self._trade(instrument, tape, row, received_at_ns) for row in pushed.data]
        return [one for one in read if one is not None]

    def _depth(self, symbol: Symbol, action: str, row: AnyDepthRow, received_at_ns: int) -> Data:
        if not row.ts:
            return Odd(Oddity.OUT_OF_RANGE, "a book of no time", symbol)
        if action == "update":
            return self._change(symbol, row, received_at_ns)
        if action != "snapshot" and self._channel.is_chained:
            return Odd(Oddity.UNKNOWN, f"action {action[:40]!r}", symbol)
        return DepthImage(
            symbol,
            NO_ID if row.seq_id is None else row.seq_id,
            row.bids,
            row.asks,
            row.ts * NS_PER_MS,
            received_at_ns,
            is_pushed=True,
            checksum=(row.checksum or 0) if self._believes_checksums else 0,
        )

    def _change(self, symbol: Symbol, row: AnyDepthRow, received_at_ns: int) -> Data:
        previous, final = row.prev_seq_id, row.seq_id
        if previous is None or final is None:
            if previous is not final:
                return Odd(Oddity.MALFORMED, f"half a pair of ids: {previous}, {final}", symbol)
            previous = final = NO_ID
        checksum = (row.checksum or 0) if self._believes_checksums else 0
        return DepthChange(symbol, previous, final, row.bids, row.asks, row.ts * NS_PER_MS, received_at_ns, checksum)

    def _quotes(self, instrument: Instrument, rows: Sequence[AnyDepthRow], received_at_ns: int) -> list[Data]:
        return [self._quote(instrument, row, received_at_ns) for row in rows]

    def _quote(self, instrument: Instrument, row: AnyDepthRow, received_at_ns: int) -> Data:
        try:
            bid_price, bid_size = self._best(row.bids, instrument)
            ask_price, ask_size = self._best(row.asks, instrument)
        except ValueError as error:
            return Odd(Oddity.OUT_OF_RANGE, str(error))
        at_ns = row.ts * NS_PER_MS
        return Quote(OKX, instrument.symbol, bid_price, bid_size, ask_price, ask_size, at_ns, received_at_ns)

    def _best(self, levels: Sequence[Level], instrument: Instrument) -> tuple[Decimal, Decimal]:
        if not levels:
            return ZERO, ZERO
        best = levels[0]
        return self._prices[best[0]], self._size(best[1], instrument)

    def _trade(self, instrument: Instrument, tape: Tape, row: TradeRow, received_at_ns: int) -> Data | None:
        try:
            price, size = self._prices[row.px], self._size(row.sz, instrument)
        except ValueError as error:
            return Odd(Oddity.OUT_OF_RANGE, str(error))
        at_ns = row.ts * NS_PER_MS
        match tape.take(row.trade_id, received_at_ns - at_ns):
            case Print.NEW:
                return Trade(OKX, instrument.symbol, price, size, at_ns, received_at_ns)
            case Print.BEHIND:
                return Odd(Oddity.OUT_OF_RANGE, f"trade {row.trade_id} was already covered")
            case Print.REPEATED:
                return None

    def _size(self, text: str, instrument: Instrument) -> Decimal:
        size = self._sizes[text]
        return size if instrument.unit == ONE else size * instrument.unit

    def _symbol_in(self, frame: bytes) -> Symbol | None:
        """Find whose book a frame would have been about, so that it does not go on as if nothing had been missed."""
        found = NATIVE.search(frame)
        return None if found is None else self._symbols.get(found[1].decode("ascii"))


def _read_depth(frame: bytes) -> Pushed[DepthRow[FullLevel]] | Pushed[DepthRow[AnyLevel]]:
    try:
        return _FULL_DEPTH.decode(frame)
    except msgspec.ValidationError:
        # Levels of another length, as old captures may have them; or nonsense, of which this one tells.
        return _ANY_DEPTH.decode(frame)


def _unlisted(argument: Argument) -> Odd:
    return Odd(Oddity.UNLISTED, f"{argument.channel[:40]} of {argument.inst_id[:64]}")
