"""Effects are executed in the order in which they were returned, and none before the record it follows is durable."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import InvariantError, StorageError
from components.contracts.streams import COMMANDS, POSITIONS, RISK_REQUESTS
from components.runtime.bus.publisher import SnapshotRequested
from components.runtime.process.effects import EffectExecutor, PendingSnapshot
from components.runtime.service import (
    Append,
    CallVenue,
    Effect,
    LogEvent,
    ObserveLatency,
    Publish,
    Reply,
    Request,
    SendCommand,
    Terminate,
)
from tests.support.captured_log import CapturedLog
from tests.support.fake_bus import FakeBus, FakeCommitter
from tests.support.manual_clock import ManualClock

ENTRY = Append("entry")


class Scene:
    def __init__(self, syncing: FakeCommitter | None = None, *, venue: bool = True) -> None:
        self.bus, self.clock, self.log, self.called = FakeBus(), ManualClock(), CapturedLog(), list[Any]()
        self.executor = EffectExecutor(self.bus, self.clock, self.log, syncing, self.called.append if venue else None)

    @property
    def calls(self) -> list[tuple[Any, ...]]:
        return self.bus.calls


def reply(number: int) -> Reply:
    return Reply(str(number).encode(), number)


def test_without_a_record_effects_are_executed_at_once_and_in_order() -> None:
    scene = Scene()
    scene.executor.execute(
        [
            Publish(POSITIONS, 1),
            Reply(b"t", 2),
            Request(RISK_REQUESTS, "r", 3, 10),
            SendCommand(COMMANDS, b"f"),
            CallVenue("c"),
        ]
    )
    assert scene.calls == [("publish", "positions", 1), ("reply", b"t", 2), ("request", "r"), ("hand_over", b"f")]
    assert scene.called == ["c"]


def test_an_effect_after_a_record_waits_until_it_is_durable() -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    scene.executor.execute([reply(0), ENTRY, reply(1)])
    scene.executor.execute([reply(2)])
    assert scene.calls == [("reply", b"0", 0)]
    syncing.durable_sequence = 1
    scene.executor.on_synced()
    assert scene.calls[1:] == [("reply", b"1", 1), ("reply", b"2", 2), ("record", 1)]
    assert scene.executor.is_idle
    assert syncing.acknowledged == 1


def test_records_behind_a_record_are_submitted_at_once_so_that_they_share_a_sync() -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    scene.executor.execute([ENTRY, reply(1), ENTRY, reply(2)])
    assert syncing.submitted == 2
    syncing.durable_sequence = 1
    scene.executor.on_synced()
    assert scene.calls == [("reply", b"1", 1), ("record", 1)]


def test_a_journal_in_memory_costs_no_wait() -> None:
    scene = Scene(FakeCommitter(inline=True))
    scene.executor.execute([ENTRY, reply(1)])
    assert scene.calls == [("reply", b"1", 1), ("record", 1)]


def test_a_failed_disk_ends_the_process_before_anything_unsynced_is_sent() -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    scene.executor.execute([ENTRY, reply(1), ENTRY, reply(2)])
    syncing.durable_sequence, syncing.failure = 1, StorageError("no space")
    with pytest.raises(StorageError):
        scene.executor.on_synced()
    assert scene.calls == [("reply", b"1", 1), ("record", 1)]


def test_terminate_ends_after_the_effects_before_it() -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    scene.executor.execute([ENTRY, reply(1), Terminate(KeyError("bug")), reply(2)])
    assert scene.calls == []
    syncing.durable_sequence = 1
    with pytest.raises(KeyError):
        scene.executor.on_synced()
    assert scene.calls == [("reply", b"1", 1), ("record", 1)]


def test_a_snapshot_waits_for_the_records_that_its_state_already_shows() -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    scene.executor.execute([ENTRY, Publish(POSITIONS, 7)])
    scene.executor.execute([PendingSnapshot(SnapshotRequested(POSITIONS, (b"peer",)), (7,))])
    assert scene.calls == []
    syncing.durable_sequence = 1
    scene.executor.on_synced()
    assert scene.calls == [("publish", "positions", 7), ("snapshot", "positions", (7,)), ("record", 1)]


def test_an_event_is_logged_at_its_level_and_a_latency_observed_in_order() -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    spans: list[float] = []
    began_ns = scene.clock.now_ns()
    scene.executor.execute([LogEvent("a", {"x": 1}, "warning"), ENTRY, ObserveLatency(spans.append, began_ns)])
    scene.clock.advance_ms(250)
    syncing.durable_sequence = 1
    scene.executor.on_synced()
    assert scene.log.lines == [("warning", "a", {"x": 1})]
    assert spans == [0.25]


def test_an_append_without_a_journal_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="no journal"):
        Scene().executor.execute([ENTRY])


def test_a_call_without_a_venue_client_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="no venue"):
        Scene(venue=False).executor.execute([CallVenue(1)])


STEPS = st.lists(st.one_of(st.just("append"), st.just("reply"), st.integers(1, 3)), max_size=40)


@given(STEPS)
def test_no_effect_is_executed_before_the_record_it_follows_is_durable(steps: list[Any]) -> None:
    syncing = FakeCommitter()
    scene = Scene(syncing)
    wanted: list[tuple[Any, ...]] = []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            syncing.durable_sequence = min(syncing.submitted, syncing.durable_sequence + step)
            scene.executor.on_synced()
        else:
            effect: Effect = ENTRY if step == "append" else reply(number)
            scene.executor.execute([effect])
            wanted.append(
                ("record", syncing.submitted) if step == "append" else ("reply", str(number).encode(), number)
            )
        assert sorted(scene.calls) == sorted(wanted[: len(scene.calls)])
        for kind in ("record", "reply"):
            assert of_kind(scene.calls, kind) == of_kind(wanted, kind)[: len(of_kind(scene.calls, kind))]
        behind = wanted[len(scene.calls) :]
        assert not behind or behind[0] == ("record", syncing.durable_sequence + 1)


def of_kind(calls: list[tuple[Any, ...]], kind: str) -> list[tuple[Any, ...]]:
    return [one for one in calls if one[0] == kind]
