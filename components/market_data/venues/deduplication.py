"""Drops trades and quotes that a venue sends twice or out of order.

OKX repeats the last trade after each subscription; two connections with the same topics deliver everything twice.
"""

from enum import StrEnum
from typing import Final

from components.contracts.values import Symbol

NO_TRADE_ID: Final = -1
REPEATS_MAX: Final = 50
"""This many old ids in a row mean that the venue reset its ids."""


class TradeNovelty(StrEnum):
    """Whether a trade is new."""

    NEW = "new"
    REPEATED = "repeated"
    """The cached trade that each subscription begins with."""
    OUT_OF_ORDER = "out_of_order"
    """Its id is not above the last one received on the same subscription."""


class TradeDeduplicator:
    """Classifies the trades of one instrument.

    Every id up to the highest received one counts as received, because one trade may merge several fills.
    """

    __slots__ = ("_age_ns_max", "_is_first_after_subscribe", "_last_id")

    def __init__(self, age_ns_max: int) -> None:
        self._age_ns_max = age_ns_max
        self._last_id, self._is_first_after_subscribe = NO_TRADE_ID, True

    def on_subscribed(self) -> None:
        """Accept a cached trade next: the stream was subscribed, perhaps again."""
        self._is_first_after_subscribe = True

    def classify(self, trade_id: int, age_ns: int) -> TradeNovelty:
        """Return whether a trade is new, and record its id."""
        last_id, is_fresh = self._last_id, self._is_first_after_subscribe
        if is_fresh:
            # A lower id is recorded too: after a reset of the venue's ids, comparing with the old maximum would drop
            # every trade.
            self._last_id, self._is_first_after_subscribe = trade_id, False
            return TradeNovelty.NEW if trade_id > last_id and age_ns <= self._age_ns_max else TradeNovelty.REPEATED
        if trade_id <= last_id:
            return TradeNovelty.OUT_OF_ORDER
        self._last_id = trade_id
        return TradeNovelty.NEW


class DuplicateFilter:
    """Accepts each id of a symbol once, in ascending order."""

    __slots__ = ("_last", "_repeats")

    def __init__(self) -> None:
        self._last: dict[Symbol, int] = {}
        self._repeats: dict[Symbol, int] = {}

    def accept(self, symbol: Symbol, last_id: int) -> bool:
        """Return whether the id is above the last accepted one of this symbol."""
        if last_id <= self._last.get(symbol, -1):
            repeats = self._repeats[symbol] = self._repeats.get(symbol, 0) + 1
            if repeats < REPEATS_MAX:
                return False
        self._repeats[symbol] = 0
        self._last[symbol] = last_id
        return True
