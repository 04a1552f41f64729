"""Decodes Alpaca's crypto frames into venue-neutral market events.

A frame is an array of messages about any symbols. It is decoded in one pass; a frame that fails is decoded again
message by message, so that one bad message does not discard the others.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct, field

from components.contracts.errors import ProtocolError
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.events import NO_ID, DecodeIssue, DepthSnapshot, DepthUpdate, IssueKind, MarketEvent
from components.market_data.core.instruments import Instrument, InstrumentRegistry
from components.market_data.core.numerics import DecimalCache, JsonNumber, Levels, NumberTexts
from components.market_data.venues.adapter import DECODE_ERRORS
from components.market_data.venues.alpaca.instruments import ALPACA
from components.market_data.venues.alpaca.messages import ErrorMessage, Success, parse_timestamp

DETAIL_CHARACTERS_MAX: Final = 160
KNOWN_TYPES: Final = frozenset({"o", "q", "t", "success", "error", "subscription"})
_SYMBOL: Final = re.compile(rb'"S"\s*:\s*"([^"\\]{1,40})"')
_BOOK_MESSAGE: Final = re.compile(rb'"T"\s*:\s*"o"')


class _Level(Struct, frozen=True, gc=False):
    p: JsonNumber
    s: JsonNumber


class CryptoBook(Struct, frozen=True, gc=False, tag_field="T", tag="o"):
    """Changed levels of a book, or all of them where `r` is true; a size of 0 removes a level."""

    S: str
    t: str
    b: list[_Level] = []
    a: list[_Level] = []
    r: bool = False


class CryptoQuote(Struct, frozen=True, gc=False, tag_field="T", tag="q"):
    """The best bid and ask; a price of 0 means that the side is empty."""

    S: str
    bp: JsonNumber
    bs: JsonNumber
    ap: JsonNumber
    ask_size: JsonNumber = field(name="as")
    t: str


class CryptoTrade(Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    """A trade."""

    S: str
    p: JsonNumber
    s: JsonNumber
    t: str


class CryptoSubscription(Struct, frozen=True, gc=False, tag_field="T", tag="subscription"):
    """The complete set of subscriptions after a change."""

    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    orderbooks: tuple[str, ...] = ()


DataMessage: TypeAlias = CryptoBook | CryptoQuote | CryptoTrade
CryptoControlMessage: TypeAlias = Success | ErrorMessage | CryptoSubscription


class _MessageType(Struct, frozen=True, gc=False):
    T: str


class _BooksResponse(Struct, frozen=True, gc=False):
    orderbooks: dict[str, "_FetchedBook"]


class _FetchedBook(Struct, frozen=True, gc=False):
    t: str
    b: list[_Level] = []
    a: list[_Level] = []


_frame_decoder: Final = msgspec.json.Decoder(list[DataMessage | CryptoControlMessage], float_hook=str)
_parts_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw])
_message_decoder: Final = msgspec.json.Decoder(DataMessage | CryptoControlMessage, float_hook=str)
_type_decoder: Final = msgspec.json.Decoder(_MessageType)
_books_decoder: Final = msgspec.json.Decoder(_BooksResponse, float_hook=str)


class CryptoDecoder:
    """Decodes frames of the crypto stream and fetched order books."""

    def __init__(self) -> None:
        self._texts = NumberTexts()
        self._numbers = DecimalCache()
        self._by_venue_symbol: dict[str, Instrument] = {}
        self._sequence = 0
        """The venue sends no sequence ids.

        Book messages are counted here, so that published books carry ids that subscribers can join on.
        """

    def set_instruments(self, registry: InstrumentRegistry) -> None:
        """Set the instruments that frames are decoded for."""
        self._by_venue_symbol = registry.by_venue_symbol

    def decode(self, frame: bytes, received_at_ns: int) -> tuple[list[MarketEvent], list[CryptoControlMessage]]:
        """Decode one frame in one pass, or message by message where that fails."""
        try:
            messages: Iterable[DataMessage | CryptoControlMessage | DecodeIssue] = _frame_decoder.decode(frame)
        except DECODE_ERRORS:
            messages = self._decode_parts(frame)
        data: list[MarketEvent] = []
        control_messages: list[CryptoControlMessage] = []
        for message in messages:
            if isinstance(message, CryptoBook | CryptoQuote | CryptoTrade):
                data.append(self._decode_data(message, received_at_ns))
            elif isinstance(message, DecodeIssue):
                data.append(message)
            else:
                control_messages.append(message)
        return data, control_messages

    def decode_snapshot(self, instrument: Instrument, body: bytes, received_at_ns: int) -> DepthSnapshot:
        """Decode a fetched order book; raise ProtocolError where the body holds none of this instrument."""
        try:
            found = _books_decoder.decode(body).orderbooks[instrument.venue_symbol]
            bids, asks, at_ns = self._levels(found.b), self._levels(found.a), parse_timestamp(found.t)
        except DECODE_ERRORS as error:
            raise ProtocolError(f"{instrument.symbol}: no order book: {error}") from error
        return DepthSnapshot(instrument.symbol, NO_ID, bids, asks, at_ns, received_at_ns, is_pushed=False)

    def _decode_data(self, message: DataMessage, received_at_ns: int) -> MarketEvent:
        instrument = self._by_venue_symbol.get(message.S)
        if instrument is None:
            return DecodeIssue(IssueKind.UNLISTED, f"message for {message.S[:DETAIL_CHARACTERS_MAX]}")
        symbol = instrument.symbol
        try:
            if isinstance(message, CryptoBook):
                return self._decode_book(message, symbol, received_at_ns)
            if isinstance(message, CryptoQuote):
                return self._decode_quote(message, symbol, received_at_ns)
            return self._decode_trade(message, symbol, received_at_ns)
        except DECODE_ERRORS as error:
            return DecodeIssue(
                IssueKind.MALFORMED,
                str(error)[:DETAIL_CHARACTERS_MAX],
                symbol if isinstance(message, CryptoBook) else None,
            )

    def _decode_book(self, book: CryptoBook, symbol: Symbol, received_at_ns: int) -> DepthUpdate | DepthSnapshot:
        bids, asks, at_ns = self._levels(book.b), self._levels(book.a), parse_timestamp(book.t)
        previous, self._sequence = self._sequence, self._sequence + 1
        if book.r:
            return DepthSnapshot(symbol, self._sequence, bids, asks, at_ns, received_at_ns, is_pushed=True)
        return DepthUpdate(symbol, previous, self._sequence, bids, asks, at_ns, received_at_ns)

    def _decode_quote(self, quote: CryptoQuote, symbol: Symbol, received_at_ns: int) -> Quote:
        texts, numbers = self._texts, self._numbers
        bid, bid_size = numbers[texts[quote.bp]], numbers[texts[quote.bs]]
        ask, ask_size = numbers[texts[quote.ap]], numbers[texts[quote.ask_size]]
        return Quote(ALPACA, symbol, bid, bid_size, ask, ask_size, parse_timestamp(quote.t), received_at_ns)

    def _decode_trade(self, trade: CryptoTrade, symbol: Symbol, received_at_ns: int) -> Trade:
        price, size = self._numbers[self._texts[trade.p]], self._numbers[self._texts[trade.s]]
        return Trade(ALPACA, symbol, price, size, parse_timestamp(trade.t), received_at_ns)

    def _levels(self, levels: list[_Level]) -> Levels:
        texts = self._texts
        return [(texts[level.p], texts[level.s]) for level in levels]

    def _decode_parts(self, frame: bytes) -> Sequence[DataMessage | CryptoControlMessage | DecodeIssue]:
        try:
            return [self._decode_part(bytes(part)) for part in _parts_decoder.decode(frame)]
        except DECODE_ERRORS as error:
            return self._malformed(frame, error)

    def _decode_part(self, part: bytes) -> DataMessage | CryptoControlMessage | DecodeIssue:
        try:
            found: DataMessage | CryptoControlMessage = _message_decoder.decode(part)
            return found
        except DECODE_ERRORS as error:
            if _is_unknown(part):
                return DecodeIssue(IssueKind.UNKNOWN, part[:DETAIL_CHARACTERS_MAX].decode("utf-8", "replace"))
            return self._malformed(part, error)[0]

    def _malformed(self, part: bytes, error: Exception) -> Sequence[DecodeIssue]:
        # Without sequence ids a book cannot detect that it missed an update. Every book named in the bad part is
        # reported, so that it resynchronizes.
        detail = str(error)[:DETAIL_CHARACTERS_MAX]
        named = (
            {found.decode("utf-8", "replace") for found in _SYMBOL.findall(part)}
            if _BOOK_MESSAGE.search(part)
            else set()
        )
        listed = [self._by_venue_symbol[one].symbol for one in sorted(named) if one in self._by_venue_symbol]
        return [DecodeIssue(IssueKind.MALFORMED, detail, symbol) for symbol in listed] or [
            DecodeIssue(IssueKind.MALFORMED, detail)
        ]


def _is_unknown(part: bytes) -> bool:
    try:
        return _type_decoder.decode(part).T not in KNOWN_TYPES
    except DECODE_ERRORS:
        return False
