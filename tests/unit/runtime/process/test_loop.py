"""The service loop and the publication of health, with time and bus controlled by the test."""

from typing import Any

import pytest

from components.contracts.errors import InvariantError
from components.contracts.protocol import ComponentHealth
from components.contracts.streams import HEALTH, HEARTBEAT_MS, POSITIONS
from components.runtime.bus.publisher import SnapshotRequested
from components.runtime.process.loop import RECOVERY_POLL_MS, HealthPublisher, LoopContext, ServiceLoop, run_blocking
from components.runtime.service import Append, Effects, Inbound, Publish, Reply, Terminate, VenueEvent
from tests.support.captured_log import CapturedLog
from tests.support.fake_bus import FakeBus, FakeCommitter
from tests.support.manual_clock import ManualClock
from tests.support.scripted_service import ScriptedService

TICK_MS = 50


class Scene:
    def __init__(self, syncing: FakeCommitter | None = None) -> None:
        self.bus, self.clock, self.log, self.service = FakeBus(), ManualClock(), CapturedLog(), ScriptedService()
        self.reports: list[tuple[str, ...]] = []
        self.should_stop = False
        self.context = LoopContext(
            component="risk",
            version="1",
            service=self.service,
            bus=self.bus,
            clock=self.clock,
            log=self.log,
            committer=syncing,
            tick_ms=TICK_MS,
            report_health=self.reports.append,
            should_stop=lambda: self.should_stop,
            drain_timeout_ms=1_000,
        )
        self.life = ServiceLoop(self.context)

    def pass_ms(self, milliseconds: int) -> None:
        """Advance the time in small steps, as a busy loop sees it."""
        for _ in range(milliseconds):
            self.clock.advance_ms(1)
            self.life.run_timers()

    def calls(self, what: str) -> list[tuple[Any, ...]]:
        return [one for one in self.bus.calls if one[0] == what]


def test_a_tick_comes_every_tick_ms_however_busy_the_loop_is() -> None:
    scene = Scene()
    scene.pass_ms(1_000)
    assert scene.service.ticks == 1_000 / TICK_MS


def test_each_tick_reports_what_is_unmet() -> None:
    scene = Scene()
    scene.service.unmet_conditions = ("positions",)
    scene.life.run_timers()
    assert scene.reports == [("positions",)]


def test_effects_are_executed_message_by_message() -> None:
    scene = Scene()
    scene.service.react = lambda message: (Reply(b"t", message),)
    scene.life.dispatch([VenueEvent(1), VenueEvent(2)])
    assert scene.bus.calls == [("reply", b"t", VenueEvent(1)), ("reply", b"t", VenueEvent(2))]


def test_a_late_subscriber_gets_the_snapshot_of_the_service_and_our_last_health() -> None:
    scene = Scene()
    scene.service.state = ("position",)
    scene.bus.snapshot_requests = [SnapshotRequested(POSITIONS, (b"p",)), SnapshotRequested(HEALTH, (b"p",))]
    scene.life.run_timers()
    ((_, _, positions), (_, _, health)) = scene.calls("snapshot")
    assert positions == ("position",)
    assert [health.component for health in health] == ["risk"]


def test_while_a_stream_recovers_the_bus_is_polled_more_often() -> None:
    scene = Scene()
    assert scene.life.run_timers() == TICK_MS
    scene.bus.needs_fast_polling = True
    scene.clock.advance_ms(TICK_MS)
    assert scene.life.run_timers() == RECOVERY_POLL_MS
    scene.pass_ms(500)
    assert scene.service.ticks == 2 + 500 / TICK_MS


def test_a_stop_request_reaches_the_service_once_and_the_loop_runs_until_it_has_drained() -> None:
    scene = Scene()
    assert not scene.life.is_finished()
    scene.should_stop, scene.service.drained = True, False
    assert not scene.life.is_finished()
    assert not scene.life.is_finished()
    assert scene.service.calls == ["stop"]
    scene.life.run_timers()
    assert scene.reports[-1] == ("stopping",)
    scene.service.drained = True
    assert scene.life.is_finished()


def test_a_loop_is_not_finished_while_an_effect_waits_for_the_disk() -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    scene.service.stopped = (Append("last"), Reply(b"t", "done"))
    scene.should_stop = True
    assert not scene.life.is_finished()
    syncing.durable_sequence = 1
    scene.life.executor.on_synced()
    assert scene.calls("reply") == [("reply", b"t", "done")]
    assert scene.life.is_finished()


def test_draining_is_bounded_and_its_timeout_is_logged() -> None:
    scene = Scene()
    scene.should_stop, scene.service.drained = True, False
    assert not scene.life.is_finished()
    scene.clock.advance_ms(1_001)
    assert scene.life.is_finished()
    assert [event for _, event, _ in scene.log.lines] == ["drain_timeout"]


def test_terminate_ends_the_loop_with_its_error_after_the_effects_before_it() -> None:
    scene = Scene()
    scene.service.ticked = (Publish(POSITIONS, 1), Terminate(KeyError("bug")), Publish(POSITIONS, 2))
    with pytest.raises(KeyError):
        run_blocking(scene.context)
    assert [body for _, name, body in scene.calls("publish") if name == "positions"] == [1]


def test_the_blocking_loop_starts_dispatches_and_ends() -> None:
    scene = Scene()
    scene.bus.waiting = [VenueEvent(1)]

    def stop(_: Inbound) -> Effects:
        scene.should_stop = True
        return ()

    scene.service.react = stop
    run_blocking(scene.context)
    assert scene.service.calls == ["start", "stop"]
    assert scene.service.received == [VenueEvent(1)]


def test_the_blocking_loop_cannot_have_a_venue_client() -> None:
    scene = Scene()
    with pytest.raises(InvariantError, match="async"):
        run_blocking(
            LoopContext(**{name: getattr(scene.context, name) for name in LoopContext.__slots__} | {"feed": object()})
        )


def make_health_publisher() -> tuple[HealthPublisher, FakeBus, ManualClock]:
    bus, clock = FakeBus(), ManualClock()
    return HealthPublisher(bus, clock, "risk", "1"), bus, clock


def test_heartbeats_and_health_are_published_every_second() -> None:
    heartbeat, bus, clock = make_health_publisher()
    for _ in range(4):
        heartbeat.publish_if_due(("positions",), clock.monotonic_ns())
        clock.advance_ms(HEARTBEAT_MS / 2)
    published = [one for one in bus.calls if one[0] == "publish"]
    assert [one[0] for one in bus.calls] == ["heartbeat", "publish"] * 2
    assert published[0][2].unmet == ("positions",)


def test_a_change_of_readiness_is_published_at_once() -> None:
    heartbeat, bus, clock = make_health_publisher()
    heartbeat.publish_if_due(("positions",), clock.monotonic_ns())
    heartbeat.publish_if_due((), clock.monotonic_ns())
    assert bus.calls[-1] == ("publish", "health", ComponentHealth("risk", "1", (), (), clock.now_ns()))
    assert heartbeat.last_health.is_ready


def test_before_the_first_tick_the_health_is_starting() -> None:
    assert make_health_publisher()[0].last_health.unmet == ("starting",)
