"""Tells a new trade from one that OKX repeats: after each subscription it sends the last one there was."""

from enum import StrEnum
from typing import Final

NOTHING_SEEN: Final = -1


class Print(StrEnum):
    """What a trade is to us."""

    NEW = "new"
    REPEATED = "repeated"
    """The one that every subscription begins with, and no news."""
    BEHIND = "behind"
    """Its id lies below what was already seen on the same subscription."""


class Tape:
    """The trades of one instrument: everything up to the highest id is covered, merged fills with it."""

    __slots__ = ("_age_ns_max", "_is_fresh", "_last_id")

    def __init__(self, age_ns_max: int) -> None:
        self._age_ns_max = age_ns_max
        self._last_id, self._is_fresh = NOTHING_SEEN, True

    def begin(self) -> None:
        """Hear that the stream is subscribed, perhaps once more."""
        self._is_fresh = True

    def take(self, trade_id: int, age_ns: int) -> Print:
        """Take the next trade."""
        last_id, is_fresh = self._last_id, self._is_fresh
        if is_fresh:
            # Also where its id is lower: then the venue numbers anew, and waiting for the old mark would be silence.
            self._last_id, self._is_fresh = trade_id, False
            return Print.NEW if trade_id > last_id and age_ns <= self._age_ns_max else Print.REPEATED
        if trade_id <= last_id:
            return Print.BEHIND
        self._last_id = trade_id
        return Print.NEW
