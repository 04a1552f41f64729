"""A subscription to one producer: what is delivered, what is requested, and when the stream is synced."""

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
    """Feeds one subscription with frames and batches, and serves its requests from everything that was published."""

    def __init__(self, subscription: StreamSubscription, make: Any, *, epoch: str = RUN) -> None:
        self.subscription, self.make = subscription, make
        self.epoch, self.run, self.last = epoch, RUN, 0
        self.got: list[Inbound] = []

    def publish(self, count: int = 1, *, lose: Iterable[int] = ()) -> None:
        for _ in range(count):
            self.last += 1
            if self.last not in set(lose):
                self._arrive(FrameKind.MESSAGE, encode(self.make(self.last)))

    def heartbeat(self) -> None:
        self._arrive(FrameKind.HEARTBEAT, b"")

    def restart(self, *, epoch: str | None = None) -> None:
        self.run += "'"
        if epoch is not None:
            self.epoch, self.last = epoch, 0

    def answer(self, *, now_ms: int = 0, records_max: int = 10**9) -> bool:
        match self.subscription.due_request(now_ms):
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
        self.got += self.subscription.on_recovery_batch(
            RecoveryBatch(StreamOffset("s", self.epoch, upto), messages, complete)
        )

    def sequences(self) -> list[int]:
        return [one.header.sequence for one in self.got if isinstance(one, MessageReceived)]

    def kinds(self) -> str:
        return "".join(KINDS[type(one)] for one in self.got)

    def lost(self) -> list[tuple[int, str]]:
        return [(one.missing, one.reason) for one in self.got if isinstance(one, StreamLost)]

    def _arrive(self, kind: FrameKind, payload: bytes) -> None:
        self.got += self.subscription.on_frame(header(self.last, kind, epoch=self.epoch, run=self.run), payload)


@pytest.fixture
def counters() -> FakeSubscriptionCounters:
    return FakeSubscriptionCounters()


@pytest.fixture
def positions(counters: FakeSubscriptionCounters) -> Producer:
    return Producer(make_subscription(POSITIONS, "risk", counters, None), state)


@pytest.fixture
def orders(counters: FakeSubscriptionCounters) -> Producer:
    """Subscribe from the first record, with any journal."""
    return Producer(
        make_subscription(ORDERS, "execution", counters, StreamOffset("orders", "", 0)), event, epoch=JOURNAL
    )


def joined(producer: Producer) -> Producer:
    producer.heartbeat()
    producer.answer()
    producer.got.clear()
    return producer


def test_a_late_subscriber_gets_the_snapshot_then_buffered_then_live_messages(positions: Producer) -> None:
    positions.last = 40
    positions.publish(2)
    assert positions.got == []
    assert positions.subscription.due_request(0) == SnapshotRequest("positions")
    positions.give([(0, 41)])
    positions.publish()
    assert positions.kinds() == "SMM"
    assert positions.got[0] == StreamSynced(POSITIONS, "risk", StreamOffset("positions", RUN, 41), (state(41),))
    assert positions.sequences() == [42, 43]


def test_no_snapshot_is_requested_before_the_first_frame(positions: Producer) -> None:
    assert positions.subscription.due_request(0) is None
    positions.heartbeat()
    assert positions.subscription.due_request(0) == SnapshotRequest("positions")


def test_a_snapshot_older_than_the_first_frame_is_ignored(positions: Producer) -> None:
    positions.last = 10
    positions.publish()
    positions.subscription.due_request(0)
    positions.give([(0, 9)])
    assert positions.subscription.state is SubscriptionState.SYNCING
    positions.give([(0, 10)])
    assert positions.kinds() == "SM"


def test_a_snapshot_of_another_epoch_is_ignored(positions: Producer) -> None:
    positions.heartbeat()
    positions.epoch = "earlier"
    positions.give([(0, 10)])
    assert positions.got == []


def test_a_snapshot_may_arrive_in_batches(positions: Producer) -> None:
    positions.heartbeat()
    positions.subscription.due_request(0)
    positions.give([(0, 1)], place=0, complete=False)
    positions.give([(0, 2)], place=0)
    assert positions.got == [StreamSynced(POSITIONS, "risk", StreamOffset("positions", RUN, 0), (state(1), state(2)))]


def test_a_batch_of_an_earlier_request_is_not_mixed_in(positions: Producer) -> None:
    positions.heartbeat()
    positions.subscription.due_request(0)
    positions.give([(0, 1)], place=0, complete=False)
    assert positions.subscription.due_request(RETRY_MS_FIRST) is not None
    positions.give([(0, 3)], place=0)
    assert positions.got == [StreamSynced(POSITIONS, "risk", StreamOffset("positions", RUN, 0), (state(3),))]


def test_a_message_contained_in_the_snapshot_is_dropped_and_is_no_duplicate(
    positions: Producer, counters: FakeSubscriptionCounters
) -> None:
    positions.publish(3)
    positions.subscription.due_request(0)
    positions.give([(0, 5)])
    positions.publish(3)
    assert positions.sequences() == [6]
    assert counters.repeats == 0


def test_an_unanswered_request_is_retried_with_backoff(positions: Producer) -> None:
    positions.heartbeat()
    request = [now_ms for now_ms in range(0, 10_000, 10) if positions.subscription.due_request(now_ms)]
    pauses = [later - earlier for earlier, later in pairwise(request)]
    assert pauses[0] == RETRY_MS_FIRST
    assert pauses == sorted(pauses)
    assert pauses[-1] == RETRY_MS_MAX


def test_a_gap_is_reported_at_once_counted_and_recovered_by_a_snapshot(
    positions: Producer, counters: FakeSubscriptionCounters
) -> None:
    joined(positions).publish(5, lose=[3, 4])
    assert positions.kinds() == "MML"
    assert positions.lost() == [(2, "gap")]
    positions.answer()
    assert positions.kinds() == "MMLS"
    assert counters.gaps == [2]


def test_a_lost_tail_is_detected_by_the_heartbeat(positions: Producer, counters: FakeSubscriptionCounters) -> None:
    joined(positions).publish(3, lose=[2, 3])
    positions.heartbeat()
    assert positions.lost() == [(2, "gap")]
    assert counters.gaps == [2]


def test_a_duplicate_is_dropped_and_counted(positions: Producer, counters: FakeSubscriptionCounters) -> None:
    joined(positions).publish()
    positions.last = 0
    positions.publish()
    assert positions.sequences() == [1]
    assert counters.repeats == 1


def test_a_restart_of_a_state_stream_is_lost_and_synced_again_without_a_gap(
    positions: Producer, counters: FakeSubscriptionCounters
) -> None:
    joined(positions).publish()
    positions.restart(epoch="run-2")
    positions.heartbeat()
    positions.answer()
    assert positions.kinds() == "MLS"
    assert positions.lost() == [(0, "new epoch")]
    assert (counters.gaps, counters.restarts) == ([], 1)


def test_a_heartbeat_timeout_is_reported_once_and_the_next_frame_resyncs(positions: Producer) -> None:
    joined(positions)
    positions.got += positions.subscription.check_timeout(1_000)
    positions.got += positions.subscription.check_timeout(1_000 + POSITIONS.heartbeat_timeout_ms)
    assert positions.got == []
    for now_ms in (1_001, 9_000):
        positions.got += positions.subscription.check_timeout(now_ms + POSITIONS.heartbeat_timeout_ms)
    assert positions.lost() == [(0, "heartbeat timeout")]
    positions.heartbeat()
    positions.answer()
    assert positions.kinds() == "LS"


def test_a_producer_without_any_frame_is_not_lost(positions: Producer) -> None:
    assert not positions.subscription.check_timeout(0)
    assert not positions.subscription.check_timeout(10**9)


def test_an_invalid_frame_counts_as_not_received(positions: Producer) -> None:
    joined(positions)
    with pytest.raises(InvalidFrame):
        positions.subscription.on_frame(header(1), b"\xc1")
    positions.last = 1
    positions.publish()
    assert positions.lost() == [(1, "gap")]


def test_an_invalid_snapshot_is_requested_again(positions: Producer, counters: FakeSubscriptionCounters) -> None:
    positions.heartbeat()
    positions.subscription.due_request(0)
    assert not positions.subscription.on_recovery_batch(
        RecoveryBatch(StreamOffset("positions", RUN, 0), ((0, b"\xc1"),), complete=True)
    )
    assert counters.invalid_frames == ["payload"]
    assert positions.subscription.due_request(RETRY_MS_FIRST) is not None


def test_an_invalid_buffered_frame_is_a_gap_when_it_is_delivered(
    positions: Producer, counters: FakeSubscriptionCounters
) -> None:
    positions.heartbeat()
    positions.subscription.on_frame(header(1), b"\xc1")
    positions.last = 1
    positions.publish()
    positions.subscription.due_request(0)
    positions.give([(0, 0)], place=0)
    assert counters.invalid_frames == ["payload"]
    assert positions.kinds() == "SL"


def test_a_full_buffer_starts_the_sync_again_and_is_no_gap(counters: FakeSubscriptionCounters) -> None:
    few = structs.replace(POSITIONS, high_water_mark=3)
    positions = Producer(make_subscription(few, "risk", counters, None), state)
    positions.heartbeat()
    positions.publish(5)
    positions.subscription.due_request(0)
    positions.give([(0, 2)])
    assert positions.subscription.state is SubscriptionState.SYNCING
    positions.give([(0, 3)])
    assert positions.sequences() == [4, 5]
    assert counters.gaps == []


def test_the_rest_of_an_earlier_snapshot_is_never_taken_for_a_complete_one(positions: Producer) -> None:
    positions.heartbeat()
    positions.subscription.due_request(0)
    positions.give([(0, 1)], place=0, complete=False)
    positions.publish(2, lose=[1])
    positions.give([(0, 2)], place=9)
    assert positions.got == []


def test_an_event_stream_is_replayed_from_the_given_record_and_then_live(orders: Producer) -> None:
    orders.last = 3
    orders.heartbeat()
    orders.publish(2)
    assert orders.subscription.due_request(0) == ReplayRequest("orders", 1)
    orders.give([(1, 1), (2, 2), (3, 3)])
    orders.publish()
    assert orders.sequences() == [1, 2, 3, 4, 5, 6]
    assert orders.kinds() == "MMMSMMM"
    assert orders.got[3] == StreamSynced(ORDERS, "execution", StreamOffset("orders", JOURNAL, 3), ())


def test_a_long_replay_arrives_in_batches_without_a_pause(orders: Producer) -> None:
    orders.last = 10
    orders.heartbeat()
    turns = 0
    while orders.answer(records_max=4):
        turns += 1
    assert orders.sequences() == list(range(1, 11))
    assert turns == 3


def test_an_up_to_date_subscriber_syncs_without_a_replay(counters: FakeSubscriptionCounters) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", counters, StreamOffset("orders", JOURNAL, 7)), event, epoch=JOURNAL
    )
    orders.last = 7
    orders.heartbeat()
    assert orders.kinds() == "S"
    assert orders.subscription.due_request(0) is None


def test_a_subscriber_without_an_offset_receives_only_new_records(counters: FakeSubscriptionCounters) -> None:
    orders = Producer(make_subscription(ORDERS, "execution", counters, None), event, epoch=JOURNAL)
    orders.last = 7
    orders.publish()
    assert orders.kinds() == "SM"
    assert orders.sequences() == [8]


def test_a_gap_of_events_is_replayed_record_by_record(orders: Producer, counters: FakeSubscriptionCounters) -> None:
    joined(orders).publish(6, lose=[2, 3])
    assert orders.kinds() == "ML"
    orders.answer()
    assert orders.kinds() == "MLMMMMMS"
    assert orders.sequences() == [1, 2, 3, 4, 5, 6]
    assert counters.gaps == [2]


def test_records_published_before_the_reconnect_to_a_new_run_are_replayed_without_a_gap(
    orders: Producer, counters: FakeSubscriptionCounters
) -> None:
    joined(orders).publish()
    orders.restart()
    orders.publish(3, lose=[2, 3])
    orders.answer()
    assert orders.sequences() == [1, 2, 3, 4]
    assert (counters.gaps, counters.restarts) == ([], 1)


def test_a_restart_that_lost_nothing_continues_in_order(orders: Producer, counters: FakeSubscriptionCounters) -> None:
    joined(orders).publish()
    orders.restart()
    orders.publish()
    assert orders.sequences() == [1, 2]
    assert orders.lost() == []
    assert counters.restarts == 1


def test_after_a_heartbeat_timeout_events_continue_at_their_offset(orders: Producer) -> None:
    joined(orders).publish()
    orders.subscription.check_timeout(1_000)
    orders.got += orders.subscription.check_timeout(1_001 + ORDERS.heartbeat_timeout_ms)
    orders.restart()
    orders.publish(3, lose=[2, 3])
    orders.answer()
    assert orders.lost() == [(0, "heartbeat timeout")]
    assert orders.sequences() == [1, 2, 3, 4]
    assert orders.kinds().endswith("S")


def test_another_journal_than_the_expected_one_stays_diverged(counters: FakeSubscriptionCounters) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", counters, StreamOffset("orders", "mine", 2)), event, epoch=JOURNAL
    )
    orders.heartbeat()
    orders.publish(3)
    orders.heartbeat()
    assert orders.sequences() == []
    assert [reason for _, reason in orders.lost()] == [
        "another journal",
        "the journal does not continue what was received",
    ]
    orders.epoch, orders.last = "mine", 2
    orders.heartbeat()
    orders.publish()
    assert orders.kinds() == "LLSM"


def test_another_journal_is_read_from_its_first_record_if_any_was_accepted(orders: Producer) -> None:
    joined(orders).publish(2)
    orders.restart(epoch="k" * 32)
    orders.publish(2, lose=[1])
    orders.answer()
    assert orders.lost() == [(0, "another journal")]
    assert orders.sequences() == [1, 2, 1, 2]


def test_a_journal_shorter_than_what_was_received_stays_diverged(counters: FakeSubscriptionCounters) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", counters, StreamOffset("orders", JOURNAL, 9)), event, epoch=JOURNAL
    )
    orders.last = 5
    orders.heartbeat()
    orders.publish(10)
    orders.heartbeat()
    assert orders.sequences() == []
    assert orders.lost()[0] == (0, "the journal ends before what was received")


def test_an_invalid_record_blocks_its_stream_and_is_requested_again(
    orders: Producer, counters: FakeSubscriptionCounters
) -> None:
    orders.last = 2
    orders.heartbeat()
    orders.subscription.due_request(0)
    part = RecoveryBatch(StreamOffset("orders", JOURNAL, 2), ((1, encode(event(1))), (2, b"\xc1")), complete=True)
    orders.got += orders.subscription.on_recovery_batch(part)
    assert orders.sequences() == [1]
    assert orders.subscription.state is SubscriptionState.SYNCING
    assert counters.invalid_frames == ["payload"]
    assert orders.subscription.due_request(RETRY_MS_FIRST) == ReplayRequest("orders", 2)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 4), st.sets(st.integers(0, 3))),
        st.tuples(st.just("heartbeat"), st.just(0), st.just(set())),
        st.tuples(st.just("answer"), st.integers(1, 5), st.just(set())),
        st.tuples(st.just("restart"), st.just(0), st.just(set())),
    ),
    max_size=30,
)


def play(producer: Producer, steps: list[Any]) -> None:
    """Apply the steps, then deliver everything."""
    for what, count, lost in steps:
        match what:
            case "publish":
                producer.publish(count, lose=[producer.last + 1 + one for one in lost])
            case "answer":
                producer.answer(now_ms=10**9, records_max=count)
            case "restart":
                producer.restart(epoch=None if producer.epoch == JOURNAL else producer.epoch + "'")
            case _:
                producer.heartbeat()
    producer.heartbeat()
    while producer.answer(now_ms=10**9):
        continue


@given(STEPS)
def test_with_any_losses_events_are_delivered_once_each_and_in_order(steps: list[Any]) -> None:
    orders = Producer(
        make_subscription(ORDERS, "execution", FakeSubscriptionCounters(), StreamOffset("orders", "", 0)),
        event,
        epoch=JOURNAL,
    )
    play(orders, steps)
    assert orders.sequences() == list(range(1, orders.last + 1))
    assert orders.subscription.state is SubscriptionState.LIVE


@given(STEPS)
def test_with_any_losses_a_state_stream_is_lost_before_a_message_is_missing_and_synced_after(steps: list[Any]) -> None:
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


def test_a_message_received_before_is_a_duplicate() -> None:
    assert check_continuity(frame(7), "e", 7) == Duplicate()


def test_a_message_too_far_ahead_is_a_gap_of_the_missing_count() -> None:
    assert check_continuity(frame(11), "e", 7) == SequenceGap(3)


def test_a_heartbeat_at_our_offset_is_in_order() -> None:
    assert check_continuity(frame(7, FrameKind.HEARTBEAT), "e", 7) == InOrder()


def test_a_heartbeat_with_a_later_sequence_reveals_a_lost_tail() -> None:
    assert check_continuity(frame(9, FrameKind.HEARTBEAT), "e", 7) == SequenceGap(2)


def test_another_epoch_is_recognized_whatever_its_sequence() -> None:
    assert check_continuity(frame(8, epoch="f"), "e", 7) == NewEpoch()


@given(first=SEQUENCES, lost=st.integers(min_value=0, max_value=1000), kind=st.sampled_from(FrameKind))
def test_a_gap_counts_exactly_what_was_lost(first: int, lost: int, kind: FrameKind) -> None:
    arrived = frame(first + lost + (kind is FrameKind.MESSAGE), kind)
    assert check_continuity(arrived, "e", first) == (SequenceGap(lost) if lost else InOrder())
    assert sequence_before(arrived) == first + lost
