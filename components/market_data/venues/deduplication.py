"""Tells a new trade from one that OKX repeats: after each subscription it sends the last one there was."""

from enum import StrEnum
from typing import Final

NO_TRADE_ID: Final = -1


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
