"""How long a venue's quiet books and connections are waited for: longer each time in vain, up to a bound."""

from typing import Final

DOUBLINGS_MAX: Final = 16


class AdaptiveTimeouts:
    """Remembers, over the connections of one plan, what stayed quiet."""

    def __init__(self, *, first_data_ms: int, no_data_ms: int, timeout_ms_max: int, healthy_ms: int) -> None:
        self._first_data_ms, self._no_data_ms, self._timeout_ms_max, self._healthy_ms = (
            first_data_ms,
            no_data_ms,
            timeout_ms_max,
            healthy_ms,
        )
        self._misses: dict[str, int] = {}
        self._no_data_count = 0

    def first_data_timeout_ms(self, name: str) -> int:
        """Say how long the first data of a topic may take."""
        return self._doubled(self._first_data_ms, self._misses.get(name, 0))

    @property
    def no_data_timeout_ms(self) -> int:
        """Say how long a connection may be without data."""
        return self._doubled(self._no_data_ms, self._no_data_count)

    def on_no_first_data(self, name: str) -> None:
        """Wait longer for a topic the next time."""
        self._misses[name] = self._misses.get(name, 0) + 1

    def on_first_data(self, name: str) -> None:
        """Wait a little less long the next time: a quiet book may be quiet again."""
        self._misses[name] = max(self._misses.get(name, 0) - 1, 0)

    def on_no_data(self) -> None:
        """Wait longer for any data the next time."""
        self._no_data_count += 1

    def on_disconnect(self, data_ms: float, gap_ms_max: float) -> bool:
        """Hear how long a connection brought data, and with which gaps; say whether it was a healthy one."""
        is_healthy = data_ms >= self._healthy_ms
        if is_healthy and gap_ms_max * 2 < self._no_data_ms:
            self._no_data_count = 0
        return is_healthy

    def _doubled(self, initial_ms: int, times: int) -> int:
        return min(initial_ms << min(times, DOUBLINGS_MAX), self._timeout_ms_max)
