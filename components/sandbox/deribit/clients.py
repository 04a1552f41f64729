"""One websocket client of Deribit: its connection, its login, its credits, and whether it still lives."""

from dataclasses import dataclass

from components.sandbox.deribit.credits import DERIBIT_SECOND_NS, call_bucket, subscription_bucket
from components.sandbox.flow.connection import ClientConnection


@dataclass(slots=True)
class Heartbeat:
    """The heartbeat a client asked for: every interval a sign of life, and a question that wants an answer."""

    interval_ns: int
    due_ns: int
    is_awaiting_reply: bool = False

    def tick(self, now_ns: int) -> bool | None:
        """Tell what is due: true is a beat, false the end of who did not answer, nothing nothing."""
        if now_ns < self.due_ns:
            return None
        self.due_ns = now_ns + self.interval_ns
        was_owed, self.is_awaiting_reply = self.is_awaiting_reply, True
        return not was_owed


class Client:
    """A connection with its standing."""

    def __init__(self, connection: ClientConnection, now_ns: int, scale: float) -> None:
        self.connection = connection
        self._scale = scale
        self.is_logged_in = False
        self.heartbeat: Heartbeat | None = None
        self.subscription_credits = subscription_bucket(now_ns)
        self.call_credits = call_bucket(now_ns)

    def start_heartbeat(self, interval_s: float, now_ns: int) -> None:
        """Begin a heartbeat; the interval passes here as fast as the venue's scale says."""
        interval_ns = int(interval_s * self._scale * DERIBIT_SECOND_NS)
        self.heartbeat = Heartbeat(interval_ns, now_ns + interval_ns)

    def on_heartbeat_reply(self) -> None:
        """Note that the client has shown that it lives."""
        if self.heartbeat is not None:
            self.heartbeat.is_awaiting_reply = False
