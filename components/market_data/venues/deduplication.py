"""Tells a new trade from one that OKX repeats: after each subscription it sends the last one there was."""

from enum import StrEnum
from typing import Final

from components.contracts.values import Symbol

NO_TRADE_ID: Final = -1
REPEATS_MAX: Final = 50
"""So many old ids in a row mean that the venue's ids went back, not that we hear old news."""


class TradeNovelty(StrEnum):
    """What a trade is to us."""

    NEW = "new"
    REPEATED = "repeated"
    """The one that every subscription begins with, and no news."""
    OUT_OF_ORDER = "behind"
    """Its id lies below what was already seen on the same subscription."""


class TradeDeduplicator:
    """The trades of one instrument: everything up to the highest id is covered, merged fills with it."""

    __slots__ = ("_age_ns_max", "_is_first_after_subscribe", "_last_id")

    def __init__(self, age_ns_max: int) -> None:
        self._age_ns_max = age_ns_max
        self._last_id, self._is_first_after_subscribe = NO_TRADE_ID, True

    def on_subscribed(self) -> None:
        """Hear that the stream is subscribed, perhaps once more."""
        self._is_first_after_subscribe = True

    def classify(self, trade_id: int, age_ns: int) -> TradeNovelty:
        """Take the next trade."""
        last_id, is_fresh = self._last_id, self._is_first_after_subscribe
        if is_fresh:
            # Also where its id is lower: then the venue numbers anew, and waiting for the old mark would be silence.
            self._last_id, self._is_first_after_subscribe = trade_id, False
            return TradeNovelty.NEW if trade_id > last_id and age_ns <= self._age_ns_max else TradeNovelty.REPEATED
        if trade_id <= last_id:
            return TradeNovelty.OUT_OF_ORDER
        self._last_id = trade_id
        return TradeNovelty.NEW


class DuplicateFilter:
    """Lets each id of a symbol pass once, and only upwards."""

    __slots__ = ("_last", "_repeats")

    def __init__(self) -> None:
        self._last: dict[Symbol, int] = {}
        self._repeats: dict[Symbol, int] = {}

    def accept(self, symbol: Symbol, last_id: int) -> bool:
        """Say whether this is news."""
        if last_id <= self._last.get(symbol, -1):
            repeats = self._repeats[symbol] = self._repeats.get(symbol, 0) + 1
            if repeats < REPEATS_MAX:
                return False
        self._repeats[symbol] = 0
        self._last[symbol] = last_id
        return True
