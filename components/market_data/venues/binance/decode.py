"""Decodes frames of Binance's streams into market events and control messages.

A substring search selects the decoder; then one typed pass decodes the frame.
"""

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
    DECODE_ERRORS,
    ControlMessage,
    Decoded,
    Heartbeat,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    UnsubscribeAck,
)
from components.market_data.venues.binance.messages import (
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
    """The common part of both decoders; only depth updates differ."""

    def __init__(self, venue: Venue) -> None:
        self.symbols: dict[str, Symbol] = {}
        """Unified symbols by the venue's names; a frame of any other name is reported as unlisted."""
        self._venue = venue
        self._quotes, self._trades = PayloadDecoder(BookTicker), PayloadDecoder(AggTrade)
        self._prices, self._numbers = PriceCache(), DecimalCache()
        self._quote_filter, self._trade_filter = DuplicateFilter(), DuplicateFilter()

    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Decode one frame. The quoted word that selects the decoder cannot occur inside a JSON string."""
        try:
            if b'"depthUpdate"' in frame:
                return self._decode_depth(frame, received_at_ns)
            if b'"aggTrade"' in frame:
                return self._decode_trade(frame, received_at_ns)
            # Quotes of the spot market carry no event type.
            if b'"bookTicker"' in frame or (b'"B"' in frame and b'"e"' not in frame):
                return self._decode_quote(frame, received_at_ns)
            return _decode_control(frame)
        except DECODE_ERRORS as error:
            return Decoded(
                (DecodeIssue(IssueKind.MALFORMED, str(error)[:DETAIL_CHARACTERS_MAX], self._symbol_in(frame)),)
            )

    @abstractmethod
    def _decode_depth(self, frame: bytes, received_at_ns: int) -> Decoded:
        """Decode a depth update."""

    def _decode_quote(self, frame: bytes, received_at_ns: int) -> Decoded:
        message, numbers = self._quotes.decode(frame), self._numbers
        symbol = self.symbols.get(message.s)
        if symbol is None:
            return _unlisted(message.s)
        bid, bid_size, ask, ask_size = numbers[message.b], numbers[message.B], numbers[message.a], numbers[message.A]
        if not self._quote_filter.accept(symbol, message.u):
            return Decoded()
        # The spot market sends no time with a quote: the receive time is the closest to it.
        at_ns = timestamp_ns(message.E) or received_at_ns
        return Decoded((Quote(self._venue, symbol, bid, bid_size, ask, ask_size, at_ns, received_at_ns),))

    def _decode_trade(self, frame: bytes, received_at_ns: int) -> Decoded:
        message = self._trades.decode(frame)
        symbol = self.symbols.get(message.s)
        if symbol is None:
            return _unlisted(message.s)
        price, size = self._prices[message.p], self._numbers[message.q]
        if not self._trade_filter.accept(symbol, message.a):
            return Decoded()
        return Decoded((Trade(self._venue, symbol, price, size, timestamp_ns(message.T), received_at_ns),))

    def _symbol_in(self, frame: bytes) -> Symbol | None:
        """Return the symbol of a depth frame that cannot be decoded, if the rest of it still names one."""
        found = _SYMBOL.search(frame) if b'"depthUpdate"' in frame else None
        return self.symbols.get(found[1].decode(errors="replace")) if found else None


class SpotDecoder(Decoder):
    """Spot: the previous id of an update is U - 1."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._depths = PayloadDecoder(SpotDepth)

    @override
    def _decode_depth(self, frame: bytes, received_at_ns: int) -> Decoded:
        message = self._depths.decode(frame)
        symbol = self.symbols.get(message.s)
        if symbol is None:
            return _unlisted(message.s)
        at_ns = timestamp_ns(message.E)
        return Decoded((DepthUpdate(symbol, message.U - 1, message.u, message.b, message.a, at_ns, received_at_ns),))


class FuturesDecoder(Decoder):
    """USD-M futures: the previous id of an update is pu."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._depths = PayloadDecoder(FuturesDepth)

    @override
    def _decode_depth(self, frame: bytes, received_at_ns: int) -> Decoded:
        message = self._depths.decode(frame)
        symbol = self.symbols.get(message.s)
        if symbol is None:
            return _unlisted(message.s)
        at_ns = timestamp_ns(message.E)
        return Decoded((DepthUpdate(symbol, message.pu, message.u, message.b, message.a, at_ns, received_at_ns),))


def _decode_control(frame: bytes) -> Decoded:
    message = _control_decoder.decode(frame)
    if SHUTDOWN_EVENT in (message.e, message.stream.removeprefix("!")):
        return Decoded(control=(ShutdownNotice("the venue announced that this server shuts down"),))
    failure = message.error or (ErrorMessage(message.code, message.msg) if message.code is not None else None)
    if failure is not None:
        return Decoded(control=(_rejection(failure, message.id),))
    if message.result is not UNSET:
        return Decoded(control=(_acknowledgement(message.id),))
    return Decoded((DecodeIssue(IssueKind.UNKNOWN, (message.stream or message.e)[:DETAIL_CHARACTERS_MAX]),))


def _rejection(failure: ErrorMessage, wire_id: int | str | None) -> SubscribeRejected:
    request_id, _ = from_wire_id(wire_id)
    return SubscribeRejected(
        (), f"{failure.code}: {failure.msg[:DETAIL_CHARACTERS_MAX]}", is_permanent_code(failure.code), request_id
    )


def _acknowledgement(wire_id: int | str | None) -> ControlMessage:
    request_id, is_unsubscribe = from_wire_id(wire_id)
    if request_id is None:
        return Heartbeat()
    return UnsubscribeAck((), request_id) if is_unsubscribe else SubscribeAck((), request_id)


def _unlisted(venue_symbol: str) -> Decoded:
    return Decoded((DecodeIssue(IssueKind.UNLISTED, venue_symbol[:DETAIL_CHARACTERS_MAX]),))
