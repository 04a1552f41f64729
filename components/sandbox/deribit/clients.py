"""One websocket client of Deribit: its connection, its login, its credits, and whether it still lives."""

from dataclasses import dataclass

from components.sandbox.deribit.credits import NANOSECONDS, for_ordinary_calls, for_subscriptions
from components.sandbox.flow.connection import Connection


@dataclass(slots=True)
class Pulse:
    """The heartbeat a client asked for: every interval a sign of life, and a question that wants an answer."""

    interval_ns: int
    due_ns: int
    is_owed: bool = False

    def beat(self, now_ns: int) -> bool | None:
        """Tell what is due: true is a beat, false the end of who did not answer, nothing nothing."""
        if now_ns < self.due_ns:
            return None
        self.due_ns = now_ns + self.interval_ns
        was_owed, self.is_owed = self.is_owed, True
        return not was_owed


class Client:
    """A connection with its standing."""

    def __init__(self, connection: Connection, now_ns: int, scale: float) -> None:
        self.connection = connection
        self._scale = scale
        self.is_logged_in = False
        self.pulse: Pulse | None = None
        self.subscribing = for_subscriptions(now_ns)
        self.calling = for_ordinary_calls(now_ns)

    def ask_for_pulse(self, interval_s: float, now_ns: int) -> None:
        """Begin a heartbeat; the interval passes here as fast as the venue's scale says."""
        interval_ns = int(interval_s * self._scale * NANOSECONDS)
        self.pulse = Pulse(interval_ns, now_ns + interval_ns)

    def answered(self) -> None:
        """Note that the client has shown that it lives."""
        if self.pulse is not None:
            self.pulse.is_owed = False
