"""How often something may be done: so many times within a span that slides along."""

from collections import deque

NANOSECONDS = 1_000_000_000


class Allowance:
    """Remembers the last times and refuses the one too many; what is refused does not count."""

    def __init__(self, count: int, span_s: int) -> None:
        self._span_ns = span_s * NANOSECONDS
        self._taken_ns: deque[int] = deque(maxlen=count)

    def take(self, now_ns: int) -> bool:
        """Do it once more, if that is allowed."""
        taken = self._taken_ns
        if len(taken) == taken.maxlen and now_ns - taken[0] < self._span_ns:
            return False
        taken.append(now_ns)
        return True


def of_connects() -> Allowance:
    """Allow three handshakes a second."""
    return Allowance(3, 1)


def of_subscriptions() -> Allowance:
    """Allow 480 subscriptions, unsubscriptions and logins an hour on one socket."""
    return Allowance(480, 3600)


def of_books() -> Allowance:
    """Allow forty REST books in two seconds."""
    return Allowance(40, 2)


def of_instruments() -> Allowance:
    """Allow twenty lists of instruments in two seconds."""
    return Allowance(20, 2)
