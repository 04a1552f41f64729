"""Alpaca's crypto frames, decoded once into types and put into everybody's words."""

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct, field

from components.contracts.errors import ContractError
from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.changes import NO_ID, DepthChange, DepthImage
from components.market_data.core.feed import Data, Odd, Oddity
from components.market_data.core.instruments import Instrument, Registry
from components.market_data.core.levels import Levels, Numbers
from components.market_data.core.timestamps import parse_timestamp
from components.market_data.venues.alpaca.instruments import ALPACA
from components.market_data.venues.alpaca.messages import Failure, Success
from components.market_data.venues.literals import Literally, Texts

DETAIL_MAX: Final = 160
STRANGE: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError)
"""All that bytes can do to the decoders; what is no number and no text cannot be looked up, a TypeError."""
KNOWN: Final = frozenset({"o", "q", "t", "success", "error", "subscription"})
_NAMED: Final = re.compile(rb'"S"\s*:\s*"([^"\\]{1,40})"')
_A_BOOK: Final = re.compile(rb'"T"\s*:\s*"o"')


class _Level(Struct, frozen=True, gc=False):
    p: Literally
    s: Literally


class Book(Struct, frozen=True, gc=False, tag_field="T", tag="o"):
    """Levels that changed, or all of them; a size of 0 removes one."""

    S: str
    t: str
    b: list[_Level] = []
    a: list[_Level] = []
    r: bool = False


class CryptoQuote(Struct, frozen=True, gc=False, tag_field="T", tag="q"):
    """The best bid and ask; a price of 0 means that side is absent."""

    S: str
    bp: Literally
    bs: Literally
    ap: Literally
    ask_size: Literally = field(name="as")
    t: str


class CryptoTrade(Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    """A print."""

    S: str
    p: Literally
    s: Literally
    t: str


class Subscribed(Struct, frozen=True, gc=False, tag_field="T", tag="subscription"):
    """The whole set that is subscribed now."""

    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()
    orderbooks: tuple[str, ...] = ()


Priced: TypeAlias = Book | CryptoQuote | CryptoTrade
Word: TypeAlias = Success | Failure | Subscribed


class _Kind(Struct, frozen=True, gc=False):
    T: str


class _Books(Struct, frozen=True, gc=False):
    orderbooks: dict[str, "_Image"]


class _Image(Struct, frozen=True, gc=False):
    t: str
    b: list[_Level] = []
    a: list[_Level] = []


_whole: Final = msgspec.json.Decoder(list[Priced | Word], float_hook=str)
_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])
_one: Final = msgspec.json.Decoder(Priced | Word, float_hook=str)
_kind: Final = msgspec.json.Decoder(_Kind)
_images: Final = msgspec.json.Decoder(_Books, float_hook=str)


class Frames:
    """Reads frames, each an array of messages about any symbols."""

    def __init__(self) -> None:
        self._texts = Texts()
        self._numbers = Numbers()
        self._by_native: dict[str, Instrument] = {}
        self._count = 0
        """The venue numbers nothing: what was heard of books is counted here, so that others can join what we tell."""

    def learn(self, registry: Registry) -> None:
        """Take the instruments that are listened to."""
        self._by_native = registry.by_native

    def read(self, frame: bytes, received_at_ns: int) -> tuple[list[Data], list[Word]]:
        """Read one frame in one pass; only one that holds something strange is looked at part by part."""
        try:
            messages: Iterable[Priced | Word | Odd] = _whole.decode(frame)
        except STRANGE:
            messages = self._apart(frame)
        data: list[Data] = []
        words: list[Word] = []
        for message in messages:
            if isinstance(message, Book | CryptoQuote | CryptoTrade):
                data.append(self._said(message, received_at_ns))
            elif isinstance(message, Odd):
                data.append(message)
            else:
                words.append(message)
        return data, words

    def image(self, instrument: Instrument, body: bytes, received_at_ns: int) -> DepthImage:
        """Read a book that was fetched."""
        try:
            found = _images.decode(body).orderbooks[instrument.native]
            bids, asks, at_ns = self._levels(found.b), self._levels(found.a), parse_timestamp(found.t)
        except (*STRANGE, KeyError) as error:
            raise ContractError(f"{instrument.symbol}: this is no book: {error}") from error
        return DepthImage(instrument.symbol, NO_ID, bids, asks, at_ns, received_at_ns, is_pushed=False)

    def _said(self, message: Priced, received_at_ns: int) -> Data:
        instrument = self._by_native.get(message.S)
        if instrument is None:
            return Odd(Oddity.UNLISTED, f"tells of {message.S[:DETAIL_MAX]}")
        symbol = instrument.symbol
        try:
            if isinstance(message, Book):
                return self._book(message, symbol, received_at_ns)
            if isinstance(message, CryptoQuote):
                return self._quote(message, symbol, received_at_ns)
            return self._trade(message, symbol, received_at_ns)
        except STRANGE as error:
            return Odd(Oddity.MALFORMED, str(error)[:DETAIL_MAX], symbol if isinstance(message, Book) else None)

    def _book(self, book: Book, symbol: Symbol, received_at_ns: int) -> DepthChange | DepthImage:
        bids, asks, at_ns = self._levels(book.b), self._levels(book.a), parse_timestamp(book.t)
        previous, self._count = self._count, self._count + 1
        if book.r:
            return DepthImage(symbol, self._count, bids, asks, at_ns, received_at_ns, is_pushed=True)
        return DepthChange(symbol, previous, self._count, bids, asks, at_ns, received_at_ns)

    def _quote(self, quote: CryptoQuote, symbol: Symbol, received_at_ns: int) -> Quote:
        texts, numbers = self._texts, self._numbers
        bid, bid_size = numbers[texts[quote.bp]], numbers[texts[quote.bs]]
        ask, ask_size = numbers[texts[quote.ap]], numbers[texts[quote.ask_size]]
        return Quote(ALPACA, symbol, bid, bid_size, ask, ask_size, parse_timestamp(quote.t), received_at_ns)

    def _trade(self, trade: CryptoTrade, symbol: Symbol, received_at_ns: int) -> Trade:
        price, size = self._numbers[self._texts[trade.p]], self._numbers[self._texts[trade.s]]
        return Trade(ALPACA, symbol, price, size, parse_timestamp(trade.t), received_at_ns)

    def _levels(self, levels: list[_Level]) -> Levels:
        texts = self._texts
        return [(texts[level.p], texts[level.s]) for level in levels]

    def _apart(self, frame: bytes) -> Sequence[Priced | Word | Odd]:
        try:
            return [self._part(bytes(part)) for part in _parts.decode(frame)]
        except STRANGE as error:
            return self._missed(frame, error)

    def _part(self, part: bytes) -> Priced | Word | Odd:
        try:
            found: Priced | Word = _one.decode(part)
            return found
        except STRANGE as error:
            if _is_unknown(part):
                return Odd(Oddity.UNKNOWN, part[:DETAIL_MAX].decode("utf-8", "replace"))
            return self._missed(part, error)[0]

    def _missed(self, part: bytes, error: Exception) -> Sequence[Odd]:
        # Nothing is numbered, so a book that misses a change would never find out: every one that is named here hears.
        detail = str(error)[:DETAIL_MAX]
        named = {found.decode("utf-8", "replace") for found in _NAMED.findall(part)} if _A_BOOK.search(part) else set()
        listed = [self._by_native[one].symbol for one in sorted(named) if one in self._by_native]
        return [Odd(Oddity.MALFORMED, detail, symbol) for symbol in listed] or [Odd(Oddity.MALFORMED, detail)]


def _is_unknown(part: bytes) -> bool:
    try:
        return _kind.decode(part).T not in KNOWN
    except STRANGE:
        return False
