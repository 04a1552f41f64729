"""Following a producer: what is delivered, what is asked for, and when the stream is whole.

Whether a frame follows the one before it.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from components.contracts.orders import VenueConnectivity, VenueConnectivityChanged
from components.contracts.protocol import (
    SCHEMA_VERSION,
    FrameKind,
    Header,
    RecoveryBatch,
    ReplayRequest,
    SnapshotRequest,
)
from components.contracts.streams import ORDERS, POSITIONS
from components.contracts.trading import ProfitAndLoss
from components.contracts.values import ZERO, StreamOffset, Venue
from components.runtime.bus.codec import InvalidFrame, encode
from components.runtime.bus.subscription import (
    RETRY_MS_FIRST,
    RETRY_MS_MAX,
    Duplicate,
    InOrder,
    NewEpoch,
    SequenceGap,
    StreamSubscription,
    SubscriptionState,
    check_continuity,
    make_subscription,
    sequence_before,
)
from components.runtime.service import Inbound, MessageReceived, StreamLost, StreamSynced
from tests.support.fake_counters import FakeSubscriptionCounters

JOURNAL = "j" * 32
KINDS: dict[type, str] = {MessageReceived: "M", StreamSynced: "S", StreamLost: "L"}


RUN = "run-1"


def state(number: int) -> ProfitAndLoss:
    return ProfitAndLoss(ZERO, ZERO, number)


def event(number: int) -> VenueConnectivityChanged:
    return VenueConnectivityChanged(Venue("alpaca"), VenueConnectivity.HEALTHY, "", number)


def header(sequence: int, kind: FrameKind = FrameKind.MESSAGE, *, epoch: str = RUN, run: str = RUN) -> Header:
    return Header(SCHEMA_VERSION, kind, "p", epoch, sequence, 0, 0, 0, b"", run)


class Producer:
    """Feeds one follower with frames and parts, and answers what it asks for from all that was ever said."""

    def __init__(self, follower: StreamSubscription, make: Any, *, epoch: str = RUN) -> None:
        self.follower, self.make = follower, make
        self.epoch, self.run, self.last = epoch, RUN, 0
        self.got: list[Inbound] = []

    def say(self, count: int = 1, *, lose: Iterable[int] = ()) -> None:
        for _ in range(count):
            self.last += 1
            if self.last not in set(lose):
                self._arrive(FrameKind.MESSAGE, encode(self.make(self.last)))

    def beat(self) -> None:
        self._arrive(FrameKind.HEARTBEAT, b"")

    def restart(self, *, epoch: str | None = None) -> None:
        self.run += "'"
        if epoch is not None:
            self.epoch, self.last = epoch, 0

    def answer(self, *, now_ms: int = 0, records_max: int = 10**9) -> bool:
        match self.follower.due_request(now_ms):
            case SnapshotRequest():
                self.give([(0, self.last)])
            case ReplayRequest(_, start):
                self.give([(one, one) for one in range(start, self.last + 1)][:records_max])
            case None:
                return False
        return True

    def give(self, records: Sequence[tuple[int, int]], *, place: int | None = None, complete: bool = True) -> None:
        upto = place if place is not None else (records[-1][1] if records else self.last)
        messages = tuple((sequence, encode(self.make(number))) for sequence, number in records)
        self.got += self.follower.on_recovery_batch(
            RecoveryBatch(StreamOffset("s", self.epoch, upto), messages, complete)
        )

    def heard(self) -> list[int]:
        return [one.header.sequence for one in self.got if isinstance(one, MessageReceived)]

    def kinds(self) -> str:
        return "".join(KINDS[type(one)] for one in self.got)

    def lost(self) -> list[tuple[int, str]]:
        return [(one.missing, one.reason) for one in self.got if isinstance(one, StreamLost)]

    def _arrive(self, kind: FrameKind, payload: bytes) -> None:
        self.got += self.follower.on_frame(header(self.last, kind, epoch=self.epoch, run=self.run), payload)


@pytest.fixture
def ledger() -> FakeSubscriptionCounters:
    return FakeSubscriptionCounters()


@pytest.fixture
def positions(ledger: FakeSubscriptionCounters) -> Producer:
    return Producer(make_subscription(POSITIONS, "risk", ledger, None), state)


@pytest.fixture
def orders(ledger: FakeSubscriptionCounters) -> Producer:
    """Follow from the first record of whatever journal is there."""
    return Producer(make_subscription(ORDERS, "execution", ledger, StreamOffset("orders", "", 0)), event, epoch=JOURNAL)


def joined(producer: Producer) -> Producer:
    producer.beat()
    producer.answer()
    producer.got.clear()
    return producer


def test_a_late_joiner_gets_the_state_then_what_came_meanwhile_then_what_comes(positions: Producer) -> None:
    positions.last = 40
    positions.say(2)
    assert positions.got == []
    assert positions.follower.due_request(0) == SnapshotRequest("positions")
    positions.give([(0, 41)])
    positions.say()
    assert positions.kinds() == "SMM"
    assert positions.got[0] == StreamSynced(POSITIONS, "risk", StreamOffset("positions", RUN, 41), (state(41),))
    assert positions.heard() == [42, 43]


def test_nothing_is_asked_before_a_frame_shows_that_the_subscription_arrived(positions: Producer) -> None:
    assert positions.follower.due_request(0) is None
    positions.beat()
    assert positions.follower.due_request(0) == SnapshotRequest("positions")


def test_a_snapshot_from_before_the_first_frame_is_not_enough(positions: Producer) -> None:
    positions.last = 10
    positions.say()
    positions.follower.due_request(0)
    positions.give([(0, 9)])
    assert positions.follower.state is SubscriptionState.SYNCING
    positions.give([(0, 10)])
    assert positions.kinds() == "SM"


def test_a_snapshot_of_another_epoch_is_of_no_use(positions: Producer) -> None:
    positions.beat()
    positions.epoch = "earlier"
    positions.give([(0, 10)])
    assert positions.got == []


def test_a_snapshot_may_come_in_parts(positions: Producer) -> None:
    positions.beat()
    positions.follower.due_request(0)
    positions.give([(0, 1)], place=0, complete=False)
    positions.give([(0, 2)], place=0)
    assert positions.got == [StreamSynced(POSITIONS, "risk", StreamOffset("positions", RUN, 0), (state(1), state(2)))]


def test_a_part_left_over_from_an_earlier_question_is_not_mixed_in(positions: Producer) -> None:
    positions.beat()
    positions.follower.due_request(0)
    positions.give([(0, 1)], place=0, complete=False)
    assert positions.follower.due_request(RETRY_MS_FIRST) is not None
    positions.give([(0, 3)], place=0)
    assert positions.got == [StreamSynced(POSITIONS, "risk", StreamOffset("positions", RUN, 0), (state(3),))]


def test_what_a_snapshot_ran_ahead_of_is_dropped_and_is_no_repeat(
    positions: Producer, ledger: FakeSubscriptionCounters
) -> None:
    positions.say(3)
    positions.follower.due_request(0)
    positions.give([(0, 5)])
    positions.say(3)
    assert positions.heard() == [6]
    assert ledger.repeats == 0


def test_an_unanswered_question_is_asked_again_ever_later(positions: Producer) -> None:
    positions.beat()
    asked = [now_ms for now_ms in range(0, 10_000, 10) if positions.follower.due_request(now_ms)]
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[0] == RETRY_MS_FIRST
    assert pauses == sorted(pauses)
    assert pauses[-1] == RETRY_MS_MAX


def test_a_gap_is_told_at_once_counted_and_healed_by_a_snapshot(
    positions: Producer, ledger: FakeSubscriptionCounters
) -> None:
    joined(positions).say(5, lose=[3, 4])
    assert positions.kinds() == "MML"
    assert positions.lost() == [(2, "gap")]
    positions.answer()
    assert positions.kinds() == "MMLS"
    assert ledger.gaps == [2]


def test_a_lost_tail_is_seen_by_the_heartbeat(positions: Producer, ledger: FakeSubscriptionCounters) -> None:
    joined(positions).say(3, lose=[2, 3])
    positions.beat()
    assert positions.lost() == [(2, "gap")]
    assert ledger.gaps == [2]


def test_a_repeat_is_dropped_and_counted(positions: Producer, ledger: FakeSubscriptionCounters) -> None:
    joined(positions).say()
    positions.last = 0
    positions.say()
    assert positions.heard() == [1]
    assert ledger.repeats == 1


def test_another_run_of_a_state_stream_is_lost_and_joined_again_but_no_gap(
    positions: Producer, ledger: FakeSubscriptionCounters
) -> None:
    joined(positions).say()
    positions.restart(epoch="run-2")
    positions.beat()
    positions.answer()
    assert positions.kinds() == "MLS"
    assert positions.lost() == [(0, "new epoch")]
    assert (ledger.gaps, ledger.restarts) == ([], 1)


def test_silence_is_told_once_and_the_next_frame_joins_again(positions: Producer) -> None:
    joined(positions)
    positions.got += positions.follower.check_timeout(1_000)
    positions.got += positions.follower.check_timeout(1_000 + POSITIONS.heartbeat_timeout_ms)
    assert positions.got == []
    for now_ms in (1_001, 9_000):
        positions.got += positions.follower.check_timeout(now_ms + POSITIONS.heartbeat_timeout_ms)
    assert positions.lost() == [(0, "heartbeat timeout")]
    positions.beat()
    positions.answer()
    assert positions.kinds() == "LS"


def test_a_producer_that_was_never_heard_is_not_lost(positions: Producer) -> None:
    assert not positions.follower.check_timeout(0)
    assert not positions.follower.check_timeout(10**9)


def test_a_frame_that_cannot_be_read_counts_as_not_heard(positions: Producer) -> None:
    joined(positions)
    with pytest.raises(InvalidFrame):
        positions.follower.on_frame(header(1), b"\xc1")
    positions.last = 1
    positions.say()
    assert positions.lost() == [(1, "gap")]


def test_a_snapshot_that_cannot_be_read_is_asked_for_again(
    positions: Producer, ledger: FakeSubscriptionCounters
) -> None:
    positions.beat()
    positions.follower.due_request(0)
    assert not positions.follower.on_recovery_batch(
        RecoveryBatch(StreamOffset("positions", RUN, 0), ((0, b"\xc1"),), complete=True)
    )
    assert ledger.invalid_frames == ["payload"]
    assert positions.follower.due_request(RETRY_MS_FIRST) is not None


def test_a_frame_kept_back_that_cannot_be_read_is_a_gap_when_its_turn_comes(
    positions: Producer, ledger: FakeSubscriptionCounters
) -> None:
    positions.beat()
    positions.follower.on_frame(header(1), b"\xc1")
    positions.last = 1
    positions.say()
    positions.follower.due_request(0)
    positions.give([(0, 0)], place=0)
    assert ledger.invalid_frames == ["payload"]
    assert positions.kinds() == "SL"


def test_more_than_can_be_kept_back_begins_again_and_is_no_gap(ledger: FakeSubscriptionCounters) -> None:
    few = structs.replace(POSITIONS, high_water_mark=3)
    positions = Producer(make_subscription(few, "risk", ledger, None), state)
    positions.beat()
    positions.say(5)
    positions.follower.due_request(0)
    positions.give([(0, 2)])
    assert positions.follower.state is SubscriptionState.SYNCING
    positions.give([(0, 3)])
    assert positions.heard() == [4, 5]
    assert ledger.gaps == []


def test_the_rest_of_an_earlier_snapshot_is_never_taken_for_a_whole_one(positions: Producer) -> None:
    positions.beat()
    positions.follower.due_request(0)
    positions.give([(0, 1)], place=0, complete=False)
    positions.say(2, lose=[1])
    positions.give([(0, 2)], place=9)
    assert positions.got == []


def test_an_event_stream_is_replayed_from_the_given_record_and_then_live(orders: Producer) -> None:
    orders.last = 3
    orders.beat()
    orders.say(2)
    assert orders.follower.due_request(0) == ReplayRequest("orders", 1)
    orders.give([(1, 1), (2, 2), (3, 3)])
    orders.say()
    assert orders.heard() == [1, 2, 3, 4, 5, 6]
    assert orders.kinds() == "MMMSMMM"
    assert orders.got[3] == StreamSynced(ORDERS, "execution", StreamOffset("orders", JOURNAL, 3), ())


def test_a_long_replay_comes_in_parts_without_a_pause(orders: Producer) -> None:
    orders.last = 10
    orders.beat()
    turns = 0
    while orders.answer(records_max=4):
        turns += 1
    assert orders.heard() == list(range(1, 11))
    assert turns == 3


def test_a_hearer_that_is_up_to_date_joins_without_a_replay(ledger: FakeSubscriptionCounters) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", ledger, StreamOffset("orders", JOURNAL, 7)), event, epoch=JOURNAL
    )
    orders.last = 7
    orders.beat()
    assert orders.kinds() == "S"
    assert orders.follower.due_request(0) is None


def test_a_hearer_without_a_place_hears_only_what_is_said_next(ledger: FakeSubscriptionCounters) -> None:
    orders = Producer(make_subscription(ORDERS, "execution", ledger, None), event, epoch=JOURNAL)
    orders.last = 7
    orders.say()
    assert orders.kinds() == "SM"
    assert orders.heard() == [8]


def test_a_gap_of_events_is_replayed_record_by_record(orders: Producer, ledger: FakeSubscriptionCounters) -> None:
    joined(orders).say(6, lose=[2, 3])
    assert orders.kinds() == "ML"
    orders.answer()
    assert orders.kinds() == "MLMMMMMS"
    assert orders.heard() == [1, 2, 3, 4, 5, 6]
    assert ledger.gaps == [2]


def test_records_said_while_a_restarted_producer_was_not_connected_are_replayed_but_no_gap(
    orders: Producer, ledger: FakeSubscriptionCounters
) -> None:
    joined(orders).say()
    orders.restart()
    orders.say(3, lose=[2, 3])
    orders.answer()
    assert orders.heard() == [1, 2, 3, 4]
    assert (ledger.gaps, ledger.restarts) == ([], 1)


def test_a_restart_that_lost_nothing_goes_on_in_order(orders: Producer, ledger: FakeSubscriptionCounters) -> None:
    joined(orders).say()
    orders.restart()
    orders.say()
    assert orders.heard() == [1, 2]
    assert orders.lost() == []
    assert ledger.restarts == 1


def test_after_a_silence_events_go_on_where_they_were(orders: Producer) -> None:
    joined(orders).say()
    orders.follower.check_timeout(1_000)
    orders.got += orders.follower.check_timeout(1_001 + ORDERS.heartbeat_timeout_ms)
    orders.restart()
    orders.say(3, lose=[2, 3])
    orders.answer()
    assert orders.lost() == [(0, "heartbeat timeout")]
    assert orders.heard() == [1, 2, 3, 4]
    assert orders.kinds().endswith("S")


def test_another_journal_than_the_one_expected_stays_lost(ledger: FakeSubscriptionCounters) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", ledger, StreamOffset("orders", "mine", 2)), event, epoch=JOURNAL
    )
    orders.beat()
    orders.say(3)
    orders.beat()
    assert orders.heard() == []
    assert [reason for _, reason in orders.lost()] == [
        "another journal",
        "the journal does not continue what was received",
    ]
    orders.epoch, orders.last = "mine", 2
    orders.beat()
    orders.say()
    assert orders.kinds() == "LLSM"


def test_another_journal_is_read_from_its_first_record_where_any_was_welcome(orders: Producer) -> None:
    joined(orders).say(2)
    orders.restart(epoch="k" * 32)
    orders.say(2, lose=[1])
    orders.answer()
    assert orders.lost() == [(0, "another journal")]
    assert orders.heard() == [1, 2, 1, 2]


def test_a_journal_that_ends_before_what_was_heard_is_never_believed_again(ledger: FakeSubscriptionCounters) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", ledger, StreamOffset("orders", JOURNAL, 9)), event, epoch=JOURNAL
    )
    orders.last = 5
    orders.beat()
    orders.say(10)
    orders.beat()
    assert orders.heard() == []
    assert orders.lost()[0] == (0, "the journal ends before what was received")


def test_a_record_that_cannot_be_read_holds_its_stream_and_is_asked_for_again(
    orders: Producer, ledger: FakeSubscriptionCounters
) -> None:
    orders.last = 2
    orders.beat()
    orders.follower.due_request(0)
    part = RecoveryBatch(StreamOffset("orders", JOURNAL, 2), ((1, encode(event(1))), (2, b"\xc1")), complete=True)
    orders.got += orders.follower.on_recovery_batch(part)
    assert orders.heard() == [1]
    assert orders.follower.state is SubscriptionState.SYNCING
    assert ledger.invalid_frames == ["payload"]
    assert orders.follower.due_request(RETRY_MS_FIRST) == ReplayRequest("orders", 2)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 4), st.sets(st.integers(0, 3))),
        st.tuples(st.just("beat"), st.just(0), st.just(set())),
        st.tuples(st.just("answer"), st.integers(1, 5), st.just(set())),
        st.tuples(st.just("restart"), st.just(0), st.just(set())),
    ),
    max_size=30,
)


def play(producer: Producer, steps: list[Any]) -> None:
    """Take the steps, then let everything arrive."""
    for what, count, lost in steps:
        match what:
            case "say":
                producer.say(count, lose=[producer.last + 1 + one for one in lost])
            case "answer":
                producer.answer(now_ms=10**9, records_max=count)
            case "restart":
                producer.restart(epoch=None if producer.epoch == JOURNAL else producer.epoch + "'")
            case _:
                producer.beat()
    producer.beat()
    while producer.answer(now_ms=10**9):
        continue


@given(STEPS)
def test_whatever_is_lost_events_are_heard_once_each_and_in_order(steps: list[Any]) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", FakeSubscriptionCounters(), StreamOffset("orders", "", 0)),
        event,
        epoch=JOURNAL,
    )
    play(orders, steps)
    assert orders.heard() == list(range(1, orders.last + 1))
    assert orders.follower.state is SubscriptionState.LIVE


@given(STEPS)
def test_whatever_is_lost_a_state_is_told_lost_before_anything_is_missing_and_joined_after(steps: list[Any]) -> None:
    positions = Producer(make_subscription(POSITIONS, "risk", FakeSubscriptionCounters(), None), state)
    play(positions, steps)
    whole_at: int | None = None
    for inbound in positions.got:
        if isinstance(inbound, MessageReceived):
            assert inbound.header.sequence - 1 == whole_at
        assert whole_at is not None or isinstance(inbound, StreamSynced)
        whole_at = None if isinstance(inbound, StreamLost) else inbound.offset.sequence  # type: ignore[union-attr]
    assert whole_at == positions.last


SEQUENCES = st.integers(min_value=1, max_value=1 << 40)


def frame(sequence: int, kind: FrameKind = FrameKind.MESSAGE, epoch: str = "e") -> Header:
    return Header(SCHEMA_VERSION, kind, "market_data", epoch, sequence, 0, 0, 0)


def test_the_next_message_is_in_order() -> None:
    assert check_continuity(frame(8), "e", 7) == InOrder()


def test_a_message_heard_before_is_a_repeat() -> None:
    assert check_continuity(frame(7), "e", 7) == Duplicate()


def test_a_message_too_far_ahead_says_how_many_are_missing() -> None:
    assert check_continuity(frame(11), "e", 7) == SequenceGap(3)


def test_a_heartbeat_at_our_place_is_in_order() -> None:
    assert check_continuity(frame(7, FrameKind.HEARTBEAT), "e", 7) == InOrder()


def test_a_heartbeat_with_a_later_place_reveals_a_lost_tail() -> None:
    assert check_continuity(frame(9, FrameKind.HEARTBEAT), "e", 7) == SequenceGap(2)


def test_another_epoch_is_told_apart_whatever_its_sequence() -> None:
    assert check_continuity(frame(8, epoch="f"), "e", 7) == NewEpoch()


@given(first=SEQUENCES, lost=st.integers(min_value=0, max_value=1000), kind=st.sampled_from(FrameKind))
def test_a_gap_counts_exactly_what_was_lost(first: int, lost: int, kind: FrameKind) -> None:
    arrived = frame(first + lost + (kind is FrameKind.MESSAGE), kind)
    assert check_continuity(arrived, "e", first) == (SequenceGap(lost) if lost else InOrder())
    assert sequence_before(arrived) == first + lost
