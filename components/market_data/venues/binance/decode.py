"""Frames of Binance's streams as data and control words: one cheap look, then one pass of a typed decoder."""

import re
from abc import ABC, abstractmethod
from typing import Final

import msgspec
from msgspec import UNSET
from typing_extensions import override

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import DecodeIssue, DepthUpdate, IssueKind
from components.market_data.core.numerics import DecimalCache, PriceCache
from components.market_data.venues.adapter import (
    ControlMessage,
    Decoded,
    Heartbeat,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)
from components.market_data.venues.binance.messages import (
    DECODE_ERRORS,
    DETAIL_CHARACTERS_MAX,
    AggTrade,
    BookTicker,
    ErrorMessage,
    FuturesDepth,
    OtherMessage,
    PayloadDecoder,
    SpotDepth,
    timestamp_ns,
)
from components.market_data.venues.binance.requests import from_wire_id, is_permanent_code
from components.market_data.venues.deduplication import DuplicateFilter

SHUTDOWN_EVENT: Final = "serverShutdown"


_SYMBOL: Final = re.compile(rb'"s"\s*:\s*"([^"\\]{1,40})"')


_control_decoder: Final = msgspec.json.Decoder(OtherMessage)


class Decoder(ABC):
    """What the two markets share; only their changes of depth differ."""

    def __init__(self, venue: Venue) -> None:
        self.symbols: dict[str, Symbol] = {}
        """Unified symbols by their native names; frames of others are unlisted."""
        self._venue = venue
        self._quotes, self._trades = PayloadDecoder(BookTicker), PayloadDecoder(AggTrade)
        self._prices, self._numbers = PriceCache(), DecimalCache()
        self._quote_filter, self._trade_filter = DuplicateFilter(), DuplicateFilter()

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Read one frame; the quoted word that picks the decoder cannot stand inside a text of JSON."""
        try:
            if b'"depthUpdate"' in frame:
                return self._decode_depth(frame, received_at_ns)
            if b'"aggTrade"' in frame:
                return self._decode_trade(frame, received_at_ns)
            # The spot market's quotes alone do not say what they are.
            if b'"bookTicker"' in frame or (b'"B"' in frame and b'"e"' not in frame):
                return self._decode_quote(frame, received_at_ns)
            return _decode_control(frame)
        except DECODE_ERRORS as error:
            return Decoded(
                (DecodeIssue(IssueKind.MALFORMED, str(error)[:DETAIL_CHARACTERS_MAX], self._symbol_in(frame)),)
            )

    @abstractmethod
    def _decode_depth(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Read a change of a book."""

    def _decode_quote(self, frame: bytes, received_at_ns: int) -> Decoded:
        said, numbers = self._quotes.decode(frame), self._numbers
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        bid, bid_size, ask, ask_size = numbers[said.b], numbers[said.B], numbers[said.a], numbers[said.A]
        if not self._quote_filter.accept(symbol, said.u):
            return Decoded()
        # Where the venue gives no time, that of receipt is the nearest to it.
        at_ns = timestamp_ns(said.E) or received_at_ns
        return Decoded((Quote(self._venue, symbol, bid, bid_size, ask, ask_size, at_ns, received_at_ns),))

    def _decode_trade(self, frame: bytes, received_at_ns: int) -> Decoded:
        said = self._trades.decode(frame)
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        price, size = self._prices[said.p], self._numbers[said.q]
        if not self._trade_filter.accept(symbol, said.a):
            return Decoded()
        return Decoded((Trade(self._venue, symbol, price, size, timestamp_ns(said.T), received_at_ns),))

    def _symbol_in(self, frame: bytes) -> Symbol | None:
        """Say whose book missed this frame, as far as what is left of it tells."""
        found = _SYMBOL.search(frame) if b'"depthUpdate"' in frame else None
        return self.symbols.get(found[1].decode(errors="replace")) if found else None


class SpotDecoder(Decoder):
    """The spot market: a change stands on U - 1."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._depths = PayloadDecoder(SpotDepth)

    @override
    def _decode_depth(self, frame: bytes, received_at_ns: int) -> Decoded:
        said = self._depths.decode(frame)
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        return Decoded((DepthUpdate(symbol, said.U - 1, said.u, said.b, said.a, timestamp_ns(said.E), received_at_ns),))


class FuturesDecoder(Decoder):
    """USD-M: a change stands on pu."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._depths = PayloadDecoder(FuturesDepth)

    @override
    def _decode_depth(self, frame: bytes, received_at_ns: int) -> Decoded:
        said = self._depths.decode(frame)
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        return Decoded((DepthUpdate(symbol, said.pu, said.u, said.b, said.a, timestamp_ns(said.E), received_at_ns),))


def _decode_control(frame: bytes) -> Decoded:
    said = _control_decoder.decode(frame)
    if SHUTDOWN_EVENT in (said.e, said.stream.removeprefix("!")):
        return Decoded(control=(ShutdownNotice("the venue says that this server shuts down"),))
    failure = said.error or (ErrorMessage(said.code, said.msg) if said.code is not None else None)
    if failure is not None:
        return Decoded(control=(_rejection(failure, said.id),))
    if said.result is not UNSET:
        return Decoded(control=(_acknowledgement(said.id),))
    return Decoded((DecodeIssue(IssueKind.UNKNOWN, (said.stream or said.e)[:DETAIL_CHARACTERS_MAX]),))


def _rejection(failure: ErrorMessage, given: int | str | None) -> SubscribeRejected:
    request_id, _ = from_wire_id(given)
    return SubscribeRejected(
        (), f"{failure.code}: {failure.msg[:DETAIL_CHARACTERS_MAX]}", is_permanent_code(failure.code), request_id
    )


def _acknowledgement(given: int | str | None) -> ControlMessage:
    request_id, is_ending = from_wire_id(given)
    if request_id is None:
        return Heartbeat()
    return UnsubscribeAck((), request_id) if is_ending else SubscribeAck((), request_id)


def _unlisted(native: str) -> Decoded:
    return Decoded((DecodeIssue(IssueKind.UNLISTED, native[:DETAIL_CHARACTERS_MAX]),))
