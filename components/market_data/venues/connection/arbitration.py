"""Merges two connections that carry the same topics, so that a replacement loses no update and repeats none."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeAlias

from components.contracts.market import Quote, Trade
from components.contracts.values import Symbol
from components.market_data.core.events import NO_ID, DecodedFrame, DecodeIssue, DepthSnapshot, DepthUpdate, MarketEvent
from components.runtime.clock import NS_PER_MS

HELD_FRAMES_MAX: Final = 20_000
"""A bound on memory: with this many held frames the switch is made at once."""
_TradeKey: TypeAlias = tuple[Symbol, str, str, int]


class Arbiter:
    """Make-before-break: holds the data of the new connection until it overlaps with the data of the old one."""

    def __init__(self) -> None:
        """Start with no data of either connection."""
        self._held: list[DecodedFrame] = []
        self._subscribed_at_ns = 0
        self._symbols: set[Symbol] = set()
        self._last_ids: dict[Symbol, int] = {}
        """The last id of each book that the old connection delivered."""
        self._first_ids: dict[Symbol, int] = {}
        """The first id of each book that the new connection can follow."""
        self._delivered_trades: Counter[_TradeKey] = Counter()
        self._quoted_at_ns: dict[Symbol, int] = {}

    def on_delivered(self, frame: DecodedFrame) -> None:
        """Record what the old connection delivered."""
        for datum in frame.data:
            if isinstance(datum, (DepthUpdate, DepthSnapshot)):
                self._last_ids[datum.symbol] = datum.last_id
            elif isinstance(datum, Trade):
                self._delivered_trades[_trade_key(datum)] += 1
            elif isinstance(datum, Quote):
                self._quoted_at_ns[datum.symbol] = datum.received_at_ns

    def hold(self, frame: DecodedFrame) -> None:
        """Keep a frame of the new connection."""
        self._held.append(frame)
        for datum in frame.data:
            if isinstance(datum, DepthUpdate):
                self._first_ids.setdefault(datum.symbol, datum.prev_id)
            elif isinstance(datum, DepthSnapshot):
                self._first_ids.setdefault(datum.symbol, datum.last_id)

    def on_subscribed(self, symbols: Iterable[Symbol], now_ns: int) -> None:
        """Record that the new connection is subscribed to these books."""
        self._subscribed_at_ns = now_ns
        self._symbols = set(symbols)

    def is_ready(self, now_ns: int, timeout_ms: int) -> bool:
        """Return whether every book on the new connection has caught up.

        After `timeout_ms`, or with HELD_FRAMES_MAX held frames, the other books are assumed to have.
        """
        if not self._subscribed_at_ns:
            return False
        if len(self._held) >= HELD_FRAMES_MAX or now_ns - self._subscribed_at_ns >= timeout_ms * NS_PER_MS:
            return True
        return bool(self._symbols) and all(self._has_caught_up(symbol) for symbol in self._symbols)

    def release(self, *, deduplicate: bool) -> list[DecodedFrame]:
        """Return the held frames; with `deduplicate`, without what the old connection delivered already."""
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
            # A snapshot behind the book would set it back; the updates that follow it are stale or join.
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
