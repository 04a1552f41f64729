"""From one connection to the next without losing a change: what the new one says is held until it joins the old one."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeAlias

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.events import NO_ID, DecodedFrame, DecodeIssue, DepthSnapshot, DepthUpdate, MarketEvent

HELD_FRAMES_MAX: Final = 20_000


NS_PER_MS: Final = 1_000_000


_TradeKey: TypeAlias = tuple[Symbol, str, str, int]


class Arbiter:
    """Two connections that say the same for a while."""

    def __init__(self) -> None:
        """Begin with nothing heard from either."""
        self._held: list[DecodedFrame] = []
        self._subscribed_at_ns = 0
        self._symbols: set[Symbol] = set()
        self._last_ids: dict[Symbol, int] = {}
        """The last id that the old one delivered of each book."""
        self._first_ids: dict[Symbol, int] = {}
        """The first id that the new one can follow."""
        self._delivered_trades: Counter[_TradeKey] = Counter()
        self._quoted_at_ns: dict[Symbol, int] = {}

    def on_delivered(self, frame: DecodedFrame) -> None:
        """Note what the old connection delivered."""
        for datum in frame.data:
            if isinstance(datum, (DepthUpdate, DepthSnapshot)):
                self._last_ids[datum.symbol] = datum.last_id
            elif isinstance(datum, Trade):
                self._delivered_trades[_trade_key(datum)] += 1
            elif isinstance(datum, Quote):
                self._quoted_at_ns[datum.symbol] = datum.received_at_ns

    def hold(self, frame: DecodedFrame) -> None:
        """Hold what the new one says."""
        self._held.append(frame)
        for datum in frame.data:
            if isinstance(datum, DepthUpdate):
                self._first_ids.setdefault(datum.symbol, datum.prev_id)
            elif isinstance(datum, DepthSnapshot):
                self._first_ids.setdefault(datum.symbol, datum.last_id)

    def on_subscribed(self, symbols: Iterable[Symbol], now_ns: int) -> None:
        """Hear that the new one is subscribed to these books."""
        self._subscribed_at_ns = now_ns
        self._symbols = set(symbols)

    def is_ready(self, now_ns: int, timeout_ms: int) -> bool:
        """Say whether the new one goes on where the old one is; a book that stands still joins by waiting."""
        if not self._subscribed_at_ns:
            return False
        if len(self._held) >= HELD_FRAMES_MAX or now_ns - self._subscribed_at_ns >= timeout_ms * NS_PER_MS:
            return True
        return bool(self._symbols) and all(self._has_caught_up(symbol) for symbol in self._symbols)

    def release(self, *, deduplicate: bool) -> list[DecodedFrame]:
        """Give what was held; where the old one delivered until now, without what it delivered already."""
        held, self._held = self._held, []
        if not deduplicate:
            return held
        left = [(framed, tuple(datum for datum in framed.data if self._is_new(datum))) for framed in held]
        return [
            DecodedFrame(framed.venue, data, framed.received_at_ns, framed.parse_ns, framed.bytes_count)
            for framed, data in left
            if data
        ]

    def _has_caught_up(self, symbol: Symbol) -> bool:
        begins, reached = self._first_ids.get(symbol), self._last_ids.get(symbol)
        if begins is None:
            return False
        return begins == NO_ID or (reached is not None and reached >= begins)

    def _is_new(self, datum: MarketEvent) -> bool:
        if isinstance(datum, DepthSnapshot):
            # An image behind the book would take it back in time; the changes that follow it are stale or join.
            return datum.last_id == NO_ID or datum.last_id > self._last_ids.get(datum.symbol, NO_ID)
        if isinstance(datum, Quote):
            return datum.received_at_ns > self._quoted_at_ns.get(datum.symbol, 0)
        if isinstance(datum, DecodeIssue):
            return True
        return not isinstance(datum, Trade) or self._is_new_trade(datum)

    def _is_new_trade(self, trade: Trade) -> bool:
        key = _trade_key(trade)
        if self._delivered_trades[key] <= 0:
            return True
        self._delivered_trades[key] -= 1
        return False


def _trade_key(trade: Trade) -> _TradeKey:
    return trade.symbol, str(trade.price), str(trade.size), trade.venue_at_ns
