"""How long a venue's quiet books and connections are waited for: longer each time in vain, up to a bound."""

from typing import Final

DOUBLINGS_MAX: Final = 16


class Patience:
    """Remembers, over the connections of one plan, what stayed quiet."""

    def __init__(self, *, first_ms: int, mute_ms: int, longest_ms: int, healthy_ms: int) -> None:
        self._first_ms, self._mute_ms, self._longest_ms, self._healthy_ms = first_ms, mute_ms, longest_ms, healthy_ms
        self._strikes: dict[str, int] = {}
        self._mutes = 0

    def first_data_ms(self, name: str) -> int:
        """Say how long the first data of a topic may take."""
        return self._grown(self._first_ms, self._strikes.get(name, 0))

    @property
    def mute_ms_max(self) -> int:
        """Say how long a connection may be without data."""
        return self._grown(self._mute_ms, self._mutes)

    def unheard(self, name: str) -> None:
        """Wait longer for a topic the next time."""
        self._strikes[name] = self._strikes.get(name, 0) + 1

    def heard(self, name: str) -> None:
        """Wait a little less long the next time: a quiet book may be quiet again."""
        self._strikes[name] = max(self._strikes.get(name, 0) - 1, 0)

    def muted(self) -> None:
        """Wait longer for any data the next time."""
        self._mutes += 1

    def flowed(self, flowed_ms: float, gap_ms_max: float) -> bool:
        """Hear how long a connection brought data, and with which gaps; say whether it was a healthy one."""
        is_healthy = flowed_ms >= self._healthy_ms
        if is_healthy and gap_ms_max * 2 < self._mute_ms:
            self._mutes = 0
        return is_healthy

    def _grown(self, first_ms: int, times: int) -> int:
        return min(first_ms << min(times, DOUBLINGS_MAX), self._longest_ms)
