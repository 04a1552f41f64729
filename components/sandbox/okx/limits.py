"""How often something may be done: so many times within a span that slides along."""

from collections import deque

OKX_SECOND_NS = 1_000_000_000


class SlidingWindowLimit:
    """Remembers the last times and refuses the one too many; what is refused does not count."""

    def __init__(self, count: int, span_s: int) -> None:
        self._span_ns = span_s * OKX_SECOND_NS
        self._taken_ns: deque[int] = deque(maxlen=count)

    def take(self, now_ns: int) -> bool:
        """Do it once more, if that is allowed."""
        taken = self._taken_ns
        if len(taken) == taken.maxlen and now_ns - taken[0] < self._span_ns:
            return False
        taken.append(now_ns)
        return True


def connect_limit() -> SlidingWindowLimit:
    """Allow three handshakes a second."""
    return SlidingWindowLimit(3, 1)


def subscription_limit() -> SlidingWindowLimit:
    """Allow 480 subscriptions, unsubscriptions and logins an hour on one socket."""
    return SlidingWindowLimit(480, 3600)


def book_request_limit() -> SlidingWindowLimit:
    """Allow forty REST books in two seconds."""
    return SlidingWindowLimit(40, 2)


def instrument_request_limit() -> SlidingWindowLimit:
    """Allow twenty lists of instruments in two seconds."""
    return SlidingWindowLimit(20, 2)
