"""A connection's timers: pings, patience, idleness and age, all scaled."""

import pytest

from components.sandbox.transport.fault_injection import Close, Item, Ping
from components.sandbox.transport.faults import CryptoFaultSwitches
from components.sandbox.transport.websocket import ClientConnection, ConnectionLimits

SECOND_NS = 1_000_000_000


class _Life:
    def __init__(self, limits: ConnectionLimits) -> None:
        self.now_ns = 0
        self.connection = ClientConnection("okx", CryptoFaultSwitches(), limits, 1, lambda: self.now_ns)

    def live(self, seconds: float) -> list[tuple[float, Item]]:
        """Live so long, looked after each tenth of a second."""
        said = []
        for _ in range(int(seconds * 10)):
            self.now_ns += SECOND_NS // 10
            self.connection.tick(self.now_ns)
            said += [(self.now_ns / SECOND_NS, item) for item in self.connection.drain_queue()]
        return said


def test_pings_come_at_their_beat_and_patience_ends() -> None:
    said = _Life(ConnectionLimits(ping_interval_s=2, pong_timeout_s=3)).live(10)
    assert [(at_s, type(item)) for at_s, item in said] == [(2.0, Ping), (4.0, Ping), (5.0, Close)]


@pytest.mark.parametrize(
    ("limits", "at_s", "code"),
    [
        (ConnectionLimits(idle_timeout_s=3, idle_close_code=4004), 3.0, 4004),
        (ConnectionLimits(lifetime_s=4), 4.0, 1008),
        (ConnectionLimits(lifetime_s=4, scale=0.5), 2.0, 1008),
    ],
)
def test_who_is_idle_or_too_old_is_closed_once(limits: ConnectionLimits, at_s: float, code: int) -> None:
    assert _Life(limits).live(10) == [(at_s, Close(code))]


def test_an_answer_keeps_idleness_away() -> None:
    life = _Life(ConnectionLimits(idle_timeout_s=3))
    assert life.live(2) == []
    life.connection.send("{}")
    assert life.live(3) == [(2.1, "{}"), (5.0, Close(1000))]


def test_two_connections_have_phases_of_their_own_within_the_period() -> None:
    phases = {
        ClientConnection("okx", CryptoFaultSwitches(), ConnectionLimits(), number, int).phase_ns(1000)
        for number in range(9)
    }
    assert len(phases) > 5
    assert all(0 <= phase < 1000 for phase in phases)
