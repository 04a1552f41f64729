"""From one connection to the next without losing a change: what the new one says is held until it joins the old one."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeAlias

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.changes import NO_ID, DepthChange, DepthImage
from components.market_data.core.feed import Data, Framed, Odd

HELD_FRAMES_MAX: Final = 20_000
NS_PER_MS: Final = 1_000_000

_Print: TypeAlias = tuple[Symbol, str, str, int]


class Handover:
    """Two connections that say the same for a while."""

    def __init__(self) -> None:
        """Begin with nothing heard from either."""
        self._held: list[Framed] = []
        self._confirmed_at_ns = 0
        self._symbols: set[Symbol] = set()
        self._reached: dict[Symbol, int] = {}
        """The last id that the old one delivered of each book."""
        self._begins: dict[Symbol, int] = {}
        """The first id that the new one can follow."""
        self._prints: Counter[_Print] = Counter()
        self._quoted_at_ns: dict[Symbol, int] = {}

    def note(self, framed: Framed) -> None:
        """Note what the old connection delivered."""
        for datum in framed.data:
            if isinstance(datum, (DepthChange, DepthImage)):
                self._reached[datum.symbol] = datum.final
            elif isinstance(datum, Trade):
                self._prints[_print(datum)] += 1
            elif isinstance(datum, Quote):
                self._quoted_at_ns[datum.symbol] = datum.received_at_ns

    def hold(self, framed: Framed) -> None:
        """Hold what the new one says."""
        self._held.append(framed)
        for datum in framed.data:
            if isinstance(datum, DepthChange):
                self._begins.setdefault(datum.symbol, datum.previous)
            elif isinstance(datum, DepthImage):
                self._begins.setdefault(datum.symbol, datum.final)

    def settled(self, symbols: Iterable[Symbol], now_ns: int) -> None:
        """Hear that the new one is subscribed to these books."""
        self._confirmed_at_ns = now_ns
        self._symbols = set(symbols)

    def is_ready(self, now_ns: int, patience_ms: int) -> bool:
        """Say whether the new one goes on where the old one is; a book that stands still joins by waiting."""
        if not self._confirmed_at_ns:
            return False
        if len(self._held) >= HELD_FRAMES_MAX or now_ns - self._confirmed_at_ns >= patience_ms * NS_PER_MS:
            return True
        return bool(self._symbols) and all(self._joins(symbol) for symbol in self._symbols)

    def release(self, *, is_joined: bool) -> list[Framed]:
        """Give what was held; where the old one delivered until now, without what it delivered already."""
        held, self._held = self._held, []
        if not is_joined:
            return held
        left = [(framed, tuple(datum for datum in framed.data if self._is_news(datum))) for framed in held]
        return [
            Framed(framed.venue, data, framed.received_at_ns, framed.parse_ns, framed.bytes_count)
            for framed, data in left
            if data
        ]

    def _joins(self, symbol: Symbol) -> bool:
        begins, reached = self._begins.get(symbol), self._reached.get(symbol)
        if begins is None:
            return False
        return begins == NO_ID or (reached is not None and reached >= begins)

    def _is_news(self, datum: Data) -> bool:
        if isinstance(datum, DepthImage):
            # An image behind the book would take it back in time; the changes that follow it are stale or join.
            return datum.final == NO_ID or datum.final > self._reached.get(datum.symbol, NO_ID)
        if isinstance(datum, Quote):
            return datum.received_at_ns > self._quoted_at_ns.get(datum.symbol, 0)
        if isinstance(datum, Odd):
            return True
        return not isinstance(datum, Trade) or self._is_new_print(datum)

    def _is_new_print(self, trade: Trade) -> bool:
        key = _print(trade)
        if self._prints[key] <= 0:
            return True
        self._prints[key] -= 1
        return False


def _print(trade: Trade) -> _Print:
    return trade.symbol, str(trade.price), str(trade.size), trade.venue_at_ns
