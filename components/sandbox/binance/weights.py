"""The request weights of a Binance venue: counted by the minute, refused with 429, and with 418 who does not listen."""

from typing import NamedTuple

MINUTE_S = 60
BINANCE_SECOND_NS = 1_000_000_000
VIOLATIONS_MAX = 10  # refused requests in a row before the ban
BAN_S = 120


class WeightCheck(NamedTuple):
    """What is used up this minute, and whether the request is refused and for how long."""

    used: int
    status: int = 200
    retry_after_s: int = 0


class RequestWeights:
    """What one minute's requests have weighed; on loopback everybody is one address."""

    def __init__(self, weight_max: int) -> None:
        self.refused_count = 0
        self._weight_max = weight_max
        self._minute = self._used = self._violations = 0
        self._banned_until_s = 0

    def spend(self, weight: int, now_ns: int) -> WeightCheck:
        """Count a request, and refuse it if it is one too many."""
        now_s = now_ns // BINANCE_SECOND_NS
        if now_s // MINUTE_S != self._minute:
            self._minute, self._used, self._violations = now_s // MINUTE_S, 0, 0
        if now_s < self._banned_until_s:
            return self._refuse(418, self._banned_until_s - now_s)
        if self._used + weight <= self._weight_max:
            self._used += weight
            return WeightCheck(self._used)
        self._violations += 1
        if self._violations > VIOLATIONS_MAX:
            self._banned_until_s = now_s + BAN_S
            return self._refuse(418, BAN_S)
        return self._refuse(429, MINUTE_S - now_s % MINUTE_S)

    def _refuse(self, status: int, retry_after_s: int) -> WeightCheck:
        self.refused_count += 1
        return WeightCheck(self._used, status, retry_after_s)
