"""Saying that we are alive."""

from components.contracts.health import ComponentHealth
from components.contracts.topics import HEARTBEAT_MS
from components.runtime.heartbeat import HealthPublisher
from tests.support.clocks import ManualClock
from tests.support.fake_bus import FakeBus


def a_heartbeat() -> tuple[HealthPublisher, FakeBus, ManualClock]:
    bus, clock = FakeBus(), ManualClock()
    return HealthPublisher(bus, clock, "risk", "1"), bus, clock


def test_every_second_places_are_said_and_what_is_unmet() -> None:
    heartbeat, bus, clock = a_heartbeat()
    for _ in range(4):
        heartbeat.publish_if_due(("positions",), clock.monotonic_ns())
        clock.advance_ms(HEARTBEAT_MS / 2)
    beats = [one for one in bus.calls if one[0] == "publish"]
    assert [one[0] for one in bus.calls] == ["heartbeat", "publish"] * 2
    assert beats[0][2].unmet == ("positions",)


def test_a_change_of_readiness_is_said_at_once() -> None:
    heartbeat, bus, clock = a_heartbeat()
    heartbeat.publish_if_due(("positions",), clock.monotonic_ns())
    heartbeat.publish_if_due((), clock.monotonic_ns())
    assert bus.calls[-1] == ("publish", "health", ComponentHealth("risk", "1", (), (), clock.now_ns()))
    assert heartbeat.last_health.is_ready


def test_before_the_first_beat_a_newcomer_is_told_that_we_are_starting() -> None:
    assert a_heartbeat()[0].last_health.unmet == ("starting",)
