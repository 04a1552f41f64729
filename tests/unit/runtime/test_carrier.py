"""Effects leave in the order they were returned, and nothing overtakes a record that is not on disk."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import InvariantError, IoFailed
from components.contracts.topics import COMMANDS, JUDGE, POSITIONS
from components.runtime.carrier import Carrier, Snapshot
from components.runtime.service import Append, Call, Effect, Halt, HandOver, Note, Observe, Publish, Reply, Request
from components.runtime.side import SnapshotWanted
from tests.support.clocks import ManualClock
from tests.support.fake_bus import FakeBus, FakeSyncing
from tests.support.ledgers import Log

ENTRY = Append("entry")


class Scene:
    def __init__(self, syncing: FakeSyncing | None = None, *, venue: bool = True) -> None:
        self.bus, self.clock, self.log, self.called = FakeBus(), ManualClock(), Log(), list[Any]()
        self.carrier = Carrier(self.bus, self.clock, self.log, syncing, self.called.append if venue else None)

    @property
    def said(self) -> list[tuple[Any, ...]]:
        return self.bus.said


def reply(number: int) -> Reply:
    return Reply(str(number).encode(), number)


def test_without_a_record_effects_leave_at_once_and_in_order() -> None:
    scene = Scene()
    scene.carrier.carry(
        [Publish(POSITIONS, 1), Reply(b"t", 2), Request(JUDGE, "r", 3, 10), HandOver(COMMANDS, b"f"), Call("c")]
    )
    assert scene.said == [("publish", "positions", 1), ("reply", b"t", 2), ("request", "r"), ("hand_over", b"f")]
    assert scene.called == ["c"]


def test_what_follows_a_record_waits_until_it_is_on_disk() -> None:
    syncing = FakeSyncing()
    scene = Scene(syncing)
    scene.carrier.carry([reply(0), ENTRY, reply(1)])
    scene.carrier.carry([reply(2)])
    assert scene.said == [("reply", b"0", 0)]
    syncing.synced = 1
    scene.carrier.on_synced()
    assert scene.said[1:] == [("reply", b"1", 1), ("reply", b"2", 2), ("record", 1)]
    assert scene.carrier.is_idle
    assert syncing.acknowledged == 1


def test_records_behind_a_record_are_submitted_at_once_so_that_they_share_a_sync() -> None:
    syncing = FakeSyncing()
    scene = Scene(syncing)
    scene.carrier.carry([ENTRY, reply(1), ENTRY, reply(2)])
    assert syncing.submitted == 2
    syncing.synced = 1
    scene.carrier.on_synced()
    assert scene.said == [("reply", b"1", 1), ("record", 1)]


def test_a_journal_in_memory_costs_no_wait() -> None:
    scene = Scene(FakeSyncing(inline=True))
    scene.carrier.carry([ENTRY, reply(1)])
    assert scene.said == [("reply", b"1", 1), ("record", 1)]


def test_a_disk_that_failed_ends_the_process_before_anything_unsynced_is_said() -> None:
    syncing = FakeSyncing()
    scene = Scene(syncing)
    scene.carrier.carry([ENTRY, reply(1), ENTRY, reply(2)])
    syncing.synced, syncing.failure = 1, IoFailed("no space")
    with pytest.raises(IoFailed):
        scene.carrier.on_synced()
    assert scene.said == [("reply", b"1", 1), ("record", 1)]


def test_a_halt_ends_where_it_stands() -> None:
    syncing = FakeSyncing()
    scene = Scene(syncing)
    scene.carrier.carry([ENTRY, reply(1), Halt(KeyError("bug")), reply(2)])
    assert scene.said == []
    syncing.synced = 1
    with pytest.raises(KeyError):
        scene.carrier.on_synced()
    assert scene.said == [("reply", b"1", 1), ("record", 1)]


def test_a_snapshot_waits_for_the_records_that_its_state_already_shows() -> None:
    syncing = FakeSyncing()
    scene = Scene(syncing)
    scene.carrier.carry([ENTRY, Publish(POSITIONS, 7)])
    scene.carrier.carry([Snapshot(SnapshotWanted(POSITIONS, (b"peer",)), (7,))])
    assert scene.said == []
    syncing.synced = 1
    scene.carrier.on_synced()
    assert scene.said == [("publish", "positions", 7), ("snapshot", "positions", (7,)), ("record", 1)]


def test_a_note_is_logged_at_its_level_and_a_span_measured_when_its_turn_comes() -> None:
    syncing = FakeSyncing()
    scene = Scene(syncing)
    spans: list[float] = []
    began_ns = scene.clock.now_ns()
    scene.carrier.carry([Note("a", {"x": 1}, "warning"), ENTRY, Observe(spans.append, began_ns)])
    scene.clock.pass_ms(250)
    syncing.synced = 1
    scene.carrier.on_synced()
    assert scene.log.lines == [("warning", "a", {"x": 1})]
    assert spans == [0.25]


def test_an_append_without_a_journal_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="no journal"):
        Scene().carrier.carry([ENTRY])


def test_a_call_without_a_venue_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="no venue"):
        Scene(venue=False).carrier.carry([Call(1)])


STEPS = st.lists(st.one_of(st.just("append"), st.just("reply"), st.integers(1, 3)), max_size=40)


@given(STEPS)
def test_nothing_ever_overtakes_a_record_that_is_not_on_disk(steps: list[Any]) -> None:
    syncing = FakeSyncing()
    scene = Scene(syncing)
    wanted: list[tuple[Any, ...]] = []
    for number, step in enumerate(steps):
        if isinstance(step, int):
            syncing.synced = min(syncing.submitted, syncing.synced + step)
            scene.carrier.on_synced()
        else:
            effect: Effect = ENTRY if step == "append" else reply(number)
            scene.carrier.carry([effect])
            wanted.append(
                ("record", syncing.submitted) if step == "append" else ("reply", str(number).encode(), number)
            )
        assert sorted(scene.said) == sorted(wanted[: len(scene.said)])
        for kind in ("record", "reply"):
            assert of_kind(scene.said, kind) == of_kind(wanted, kind)[: len(of_kind(scene.said, kind))]
        behind = wanted[len(scene.said) :]
        assert not behind or behind[0] == ("record", syncing.synced + 1)


def of_kind(said: list[tuple[Any, ...]], kind: str) -> list[tuple[Any, ...]]:
    return [one for one in said if one[0] == kind]
