"""Timers of a connection: ping interval, pong timeout, idle timeout and maximum age, all scaled."""

import pytest

from components.sandbox.numerics import SECOND_NS
from components.sandbox.transport.fault_injection import Close, Item, Ping
from components.sandbox.transport.faults import CryptoFaultSwitches
from components.sandbox.transport.websocket import ClientConnection, ConnectionLimits


class _TimedConnection:
    def __init__(self, limits: ConnectionLimits) -> None:
        self.now_ns = 0
        self.connection = ClientConnection("okx", CryptoFaultSwitches(), limits, 1, lambda: self.now_ns)

    def advance(self, seconds: float) -> list[tuple[float, Item]]:
        """Advance the time in steps of 100 ms; return what was sent, with the times."""
        sent = []
        for _ in range(int(seconds * 10)):
            self.now_ns += SECOND_NS // 10
            self.connection.tick(self.now_ns)
            sent += [(self.now_ns / SECOND_NS, item) for item in self.connection.drain_queue()]
        return sent


def test_pings_are_sent_at_their_interval_until_the_pong_timeout() -> None:
    sent = _TimedConnection(ConnectionLimits(ping_interval_s=2, pong_timeout_s=3)).advance(10)
    assert [(at_s, type(item)) for at_s, item in sent] == [(2.0, Ping), (4.0, Ping), (5.0, Close)]


@pytest.mark.parametrize(
    ("limits", "at_s", "code"),
    [
        (ConnectionLimits(idle_timeout_s=3, idle_close_code=4004), 3.0, 4004),
        (ConnectionLimits(lifetime_s=4), 4.0, 1008),
        (ConnectionLimits(lifetime_s=4, scale=0.5), 2.0, 1008),
    ],
)
def test_an_idle_or_too_old_connection_is_closed_once(limits: ConnectionLimits, at_s: float, code: int) -> None:
    assert _TimedConnection(limits).advance(10) == [(at_s, Close(code))]


def test_a_sent_message_resets_the_idle_timeout() -> None:
    timed = _TimedConnection(ConnectionLimits(idle_timeout_s=3))
    assert timed.advance(2) == []
    timed.connection.send("{}")
    assert timed.advance(3) == [(2.1, "{}"), (5.0, Close(1000))]


def test_connections_have_different_phases_within_the_period() -> None:
    phases = {
        ClientConnection("okx", CryptoFaultSwitches(), ConnectionLimits(), number, int).phase_ns(1000)
        for number in range(9)
    }
    assert len(phases) > 5
    assert all(0 <= phase < 1000 for phase in phases)
