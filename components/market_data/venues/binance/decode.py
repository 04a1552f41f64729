"""Frames of Binance's streams as data and control words: one cheap look, then one pass of a typed decoder."""

import re
from abc import ABC, abstractmethod
from typing import Final

import msgspec
from msgspec import UNSET
from typing_extensions import override

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol, Venue
from components.market_data.core.changes import DepthChange
from components.market_data.core.feed import Odd, Oddity
from components.market_data.core.levels import Numbers, Prices
from components.market_data.venues.binance.limits import is_permanent
from components.market_data.venues.binance.messages import (
    DETAIL_MAX,
    STRANGE,
    AggTrade,
    BookTicker,
    Either,
    Failure,
    Other,
    SpotDepth,
    UmDepth,
    stamp_ns,
)
from components.market_data.venues.binance.subscribe import asked_by
from components.market_data.venues.dialect import Alive, Confirmed, Control, Leaving, Read, Refused, Unsubscribed

SHUTDOWN: Final = "serverShutdown"
REPEATS_MAX: Final = 50
"""So many old ids in a row mean that the venue's ids went back, not that we hear old news."""

_WHOSE: Final = re.compile(rb'"s"\s*:\s*"([^"\\]{1,40})"')
_other: Final = msgspec.json.Decoder(Other)


class Newest:
    """Lets each id of a symbol pass once, and only upwards."""

    __slots__ = ("_last", "_repeats")

    def __init__(self) -> None:
        self._last: dict[Symbol, int] = {}
        self._repeats: dict[Symbol, int] = {}

    def passes(self, symbol: Symbol, number: int) -> bool:
        """Say whether this is news."""
        if number <= self._last.get(symbol, -1):
            repeats = self._repeats[symbol] = self._repeats.get(symbol, 0) + 1
            if repeats < REPEATS_MAX:
                return False
        self._repeats[symbol] = 0
        self._last[symbol] = number
        return True


class Decoder(ABC):
    """What the two markets share; only their changes of depth differ."""

    def __init__(self, venue: Venue) -> None:
        self.symbols: dict[str, Symbol] = {}
        """Unified symbols by their native names; frames of others are unlisted."""
        self._venue = venue
        self._quotes, self._trades = Either(BookTicker), Either(AggTrade)
        self._prices, self._numbers = Prices(), Numbers()
        self._newest_quotes, self._newest_trades = Newest(), Newest()

    def read(self, frame: bytes, received_at_ns: int) -> Read:
        """Read one frame; the quoted word that picks the decoder cannot stand inside a text of JSON."""
        try:
            if b'"depthUpdate"' in frame:
                return self._read_depth(frame, received_at_ns)
            if b'"aggTrade"' in frame:
                return self._read_trade(frame, received_at_ns)
            # The spot market's quotes alone do not say what they are.
            if b'"bookTicker"' in frame or (b'"B"' in frame and b'"e"' not in frame):
                return self._read_quote(frame, received_at_ns)
            return _read_other(frame)
        except STRANGE as error:
            return Read((Odd(Oddity.MALFORMED, str(error)[:DETAIL_MAX], self._whose(frame)),))

    @abstractmethod
    def _read_depth(self, frame: bytes, received_at_ns: int) -> Read:
        """Read a change of a book."""

    def _read_quote(self, frame: bytes, received_at_ns: int) -> Read:
        said, numbers = self._quotes.decode(frame), self._numbers
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        bid, bid_size, ask, ask_size = numbers[said.b], numbers[said.B], numbers[said.a], numbers[said.A]
        if not self._newest_quotes.passes(symbol, said.u):
            return Read()
        # Where the venue gives no time, that of receipt is the nearest to it.
        at_ns = stamp_ns(said.E) or received_at_ns
        return Read((Quote(self._venue, symbol, bid, bid_size, ask, ask_size, at_ns, received_at_ns),))

    def _read_trade(self, frame: bytes, received_at_ns: int) -> Read:
        said = self._trades.decode(frame)
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        price, size = self._prices[said.p], self._numbers[said.q]
        if not self._newest_trades.passes(symbol, said.a):
            return Read()
        return Read((Trade(self._venue, symbol, price, size, stamp_ns(said.T), received_at_ns),))

    def _whose(self, frame: bytes) -> Symbol | None:
        """Say whose book missed this frame, as far as what is left of it tells."""
        found = _WHOSE.search(frame) if b'"depthUpdate"' in frame else None
        return self.symbols.get(found[1].decode(errors="replace")) if found else None


class SpotDecoder(Decoder):
    """The spot market: a change stands on U - 1."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._depths = Either(SpotDepth)

    @override
    def _read_depth(self, frame: bytes, received_at_ns: int) -> Read:
        said = self._depths.decode(frame)
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        return Read((DepthChange(symbol, said.U - 1, said.u, said.b, said.a, stamp_ns(said.E), received_at_ns),))


class UmDecoder(Decoder):
    """USD-M: a change stands on pu."""

    def __init__(self, venue: Venue) -> None:
        super().__init__(venue)
        self._depths = Either(UmDepth)

    @override
    def _read_depth(self, frame: bytes, received_at_ns: int) -> Read:
        said = self._depths.decode(frame)
        symbol = self.symbols.get(said.s)
        if symbol is None:
            return _unlisted(said.s)
        return Read((DepthChange(symbol, said.pu, said.u, said.b, said.a, stamp_ns(said.E), received_at_ns),))


def _read_other(frame: bytes) -> Read:
    said = _other.decode(frame)
    if SHUTDOWN in (said.e, said.stream.removeprefix("!")):
        return Read(control=(Leaving("the venue says that this server shuts down"),))
    failure = said.error or (Failure(said.code, said.msg) if said.code is not None else None)
    if failure is not None:
        return Read(control=(_refused(failure, said.id),))
    if said.result is not UNSET:
        return Read(control=(_answered(said.id),))
    return Read((Odd(Oddity.UNKNOWN, (said.stream or said.e)[:DETAIL_MAX]),))


def _refused(failure: Failure, given: int | str | None) -> Refused:
    request_id, _ = asked_by(given)
    return Refused((), f"{failure.code}: {failure.msg[:DETAIL_MAX]}", is_permanent(failure.code), request_id)


def _answered(given: int | str | None) -> Control:
    request_id, is_ending = asked_by(given)
    if request_id is None:
        return Alive()
    return Unsubscribed((), request_id) if is_ending else Confirmed((), request_id)


def _unlisted(native: str) -> Read:
    return Read((Odd(Oddity.UNLISTED, native[:DETAIL_MAX]),))
