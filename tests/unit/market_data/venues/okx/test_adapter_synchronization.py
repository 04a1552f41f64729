"""An OKX order book from its first frame on: joins, keep-alives, checksums, id resets; correct at every id."""

import pytest

from components.contracts.market import BookState
from components.contracts.values import Symbol
from components.market_data.core.book.sequencing import ResyncMethod
from components.market_data.core.book.synchronizer import BookSynchronizer, SyncLimits, SyncResult
from components.market_data.core.events import DepthSnapshot, DepthUpdate
from components.market_data.venues.okx.requests import ChecksumMode
from tests.support.okx_frames import AT_NS, depth_row, okx_adapter, rest_response, snapshot, update
from tests.support.okx_market import (
    MarketStep,
    OkxMarket,
    ShownBook,
    book_checksum,
    full_row,
    snapshot_frame,
    update_frame,
)

BITCOIN = Symbol("OKX:BTC-USDT")


MS = 1_000_000


MARKET = OkxMarket(60)


EXPECTED = MARKET.states()


class Follower:
    """One order book fed with the venue's frames, and every state it was in."""

    def __init__(self, *, checksum: ChecksumMode = ChecksumMode.NON_ZERO) -> None:
        self.okx = okx_adapter(checksum=checksum)
        self.sync = BookSynchronizer(BITCOIN, self.okx.sequence_rule, SyncLimits(), AT_NS, lambda: 0.5)
        self.sync.observer = self._look
        self.sync.on_subscribed(AT_NS, pushes_snapshot=self.okx.pushes_snapshot)
        self.states: list[tuple[int, ShownBook]] = []

    def receive(self, *frames: bytes) -> list[SyncResult]:
        return [self._take(datum) for frame in frames for datum in self.okx.decode(frame, AT_NS).data]

    def fetched(self, step: MarketStep, epoch: int | None = None) -> SyncResult:
        body = rest_response([{name: value for name, value in full_row(step).items() if name != "prevSeqId"}])
        snapshot = self.okx.decode_snapshot(BITCOIN, body, AT_NS)
        return self.sync.apply_snapshot(snapshot, self.sync.epoch if epoch is None else epoch)

    @property
    def ids(self) -> list[int]:
        return [one for one, _ in self.states]

    def _take(self, datum: object) -> SyncResult:
        if isinstance(datum, DepthSnapshot):
            return self.sync.apply_snapshot(datum)
        assert isinstance(datum, DepthUpdate)
        return self.sync.apply_update(datum)

    def _look(self, *, advanced: bool) -> None:
        depth = self.sync.book
        bids, asks = depth.top(depth.size)
        self.states.append((self.sync.last_id, {"bids": _pairs(bids), "asks": _pairs(asks)}))


def _pairs(levels: object) -> list[list[str]]:
    return [list(level[:2]) for level in levels]  # type: ignore[attr-defined]


def assert_true_from(follower: Follower, step: MarketStep) -> None:
    """Assert that every state equals the venue's own at that id, and that none is missing."""
    assert follower.ids == [one for one in EXPECTED if one >= step.ids[1]]
    assert all(shown == EXPECTED[one] for one, shown in follower.states)


def test_the_common_way_is_right_at_every_id() -> None:
    follower = Follower()
    follower.receive(snapshot_frame(MARKET.first), *map(update_frame, MARKET.steps))
    assert_true_from(follower, MARKET.first)
    assert (follower.sync.state, follower.sync.stats.applied) == (BookState.SYNCED, 60)


def test_keep_alive_and_reset_are_followed() -> None:
    follower = Follower()
    level = [("900", "1")]
    took = follower.receive(
        snapshot(depth_row((-1, 10), level, [("1000", "1")])),
        update(depth_row((10, 15), [("901", "2")])),
        update(depth_row((15, 15))),
        update(depth_row((15, 3), [("902", "3")])),
        update(depth_row((3, 5), [("901", "0")])),
    )
    assert took == [SyncResult.SYNCED, SyncResult.APPLIED, SyncResult.APPLIED, SyncResult.APPLIED, SyncResult.APPLIED]
    assert follower.ids == [10, 15, 15, 3, 5]
    assert [shown["bids"] for _, shown in follower.states] == [
        [["900", "1"]],
        [["901", "2"], ["900", "1"]],
        [["901", "2"], ["900", "1"]],
        [["902", "3"], ["901", "2"], ["900", "1"]],
        [["902", "3"], ["900", "1"]],
    ]
    assert follower.sync.state is BookState.SYNCED


def test_many_keep_alives_are_no_reason_to_resync() -> None:
    follower = Follower()
    follower.receive(snapshot_frame(MARKET.first), *[update(depth_row((10, 10)))] * 200)
    assert (follower.sync.state, follower.sync.stats.stale, follower.sync.stats.resyncs) == (BookState.SYNCED, 0, 0)


@pytest.mark.parametrize("at", [0, 1, 30, 59])
def test_a_new_snapshot_at_any_time_replaces_the_book(at: int) -> None:
    follower = Follower()
    frames = [update_frame(step) for step in MARKET.steps]
    frames.insert(at + 1, snapshot_frame(MARKET.steps[at]))
    follower.receive(snapshot_frame(MARKET.first), *frames)
    assert follower.sync.stats.gaps == 0
    assert follower.ids.count(MARKET.steps[at].ids[1]) == 2
    assert all(shown == EXPECTED[one] for one, shown in follower.states)


def test_a_new_snapshot_leaves_nothing_of_the_old_book() -> None:
    follower = Follower()
    follower.receive(snapshot_frame(MARKET.first), snapshot(depth_row((-1, 3), [("1", "1")], [("2", "1")])))
    assert follower.states[-1] == (3, {"bids": [["1", "1"]], "asks": [["2", "1"]]})


def silent_start(count: int) -> Follower:
    """Return a subscription that receives updates but no snapshot."""
    follower = Follower()
    assert set(follower.receive(*map(update_frame, MARKET.steps[:count]))) == {SyncResult.BUFFERED}
    assert follower.sync.next_resync(AT_NS + 2_999 * MS) is None
    assert follower.sync.next_resync(AT_NS + 3_000 * MS) is ResyncMethod.FETCH
    return follower


@pytest.mark.parametrize("at", range(20))
def test_without_a_pushed_snapshot_a_fetched_one_is_joined_at_any_id(at: int) -> None:
    follower = silent_start(20)
    step = MARKET.steps[at]
    assert follower.fetched(step) is SyncResult.SYNCED
    follower.receive(*map(update_frame, MARKET.steps[20:]))
    assert_true_from(follower, step)
    assert (follower.sync.stats.gaps, follower.sync.stats.stale) == (0, at + 1)


def test_a_snapshot_within_an_update_is_joined_by_the_whole_update() -> None:
    follower = silent_start(20)
    wide = next(step for step in MARKET.steps[5:15] if step.ids[1] - step.ids[0] > 2)
    before = MARKET.steps[MARKET.steps.index(wide) - 1]
    inside = before._replace(ids=(before.ids[0], before.ids[1] + 1))
    assert follower.fetched(inside) is SyncResult.SYNCED
    assert follower.ids[:2] == [inside.ids[1], wide.ids[1]]
    assert all(shown == EXPECTED[one] for one, shown in follower.states[1:])


def test_a_snapshot_from_before_the_first_update_is_fetched_again() -> None:
    follower = Follower()
    follower.receive(*map(update_frame, MARKET.steps[5:10]))
    assert follower.sync.next_resync(AT_NS + 3_000 * MS) is ResyncMethod.FETCH
    assert follower.fetched(MARKET.steps[2]) is SyncResult.IGNORED
    assert (follower.sync.state, follower.sync.stats.snapshots_too_old) == (BookState.SYNCING, 1)
    assert follower.fetched(MARKET.steps[6]) is SyncResult.SYNCED
    follower.receive(*map(update_frame, MARKET.steps[10:]))
    assert_true_from(follower, MARKET.steps[6])


def test_a_snapshot_at_the_previous_id_of_the_first_update_is_joined() -> None:
    follower = Follower()
    follower.receive(*map(update_frame, MARKET.steps[5:10]))
    assert follower.fetched(MARKET.steps[4]) is SyncResult.SYNCED
    follower.receive(*map(update_frame, MARKET.steps[10:]))
    assert_true_from(follower, MARKET.steps[4])


def test_a_snapshot_ahead_of_all_received_updates_waits_for_the_stream() -> None:
    follower = silent_start(5)
    assert follower.fetched(MARKET.steps[9]) is SyncResult.SYNCED
    follower.receive(*map(update_frame, MARKET.steps[5:]))
    assert_true_from(follower, MARKET.steps[9])
    assert follower.sync.stats.stale == 10


def test_repeated_changes_are_dropped() -> None:
    follower = silent_start(5)
    follower.receive(*map(update_frame, MARKET.steps[3:5]))
    follower.fetched(MARKET.steps[1])
    follower.receive(*(update_frame(step) for step in MARKET.steps[5:] for _ in range(2)))
    assert_true_from(follower, MARKET.steps[1])
    assert follower.sync.stats.gaps == 0


def test_a_late_pushed_snapshot_wins_over_the_fetched_one() -> None:
    follower = silent_start(5)
    epoch = follower.sync.epoch
    follower.receive(snapshot_frame(MARKET.steps[4]))
    assert follower.fetched(MARKET.steps[2], epoch) is SyncResult.IGNORED
    follower.receive(*map(update_frame, MARKET.steps[5:]))
    assert_true_from(follower, MARKET.steps[4])


def test_a_reset_within_the_buffer_is_joined() -> None:
    follower = Follower()
    follower.receive(
        update(depth_row((10, 15))),
        update(depth_row((15, 3), [("902", "3")])),
        update(depth_row((3, 5), [("901", "1")])),
    )
    follower.fetched(MARKET.first)
    assert follower.ids == [10, 15, 3, 5]
    assert follower.sync.state is BookState.SYNCED


@pytest.mark.parametrize("lost", [0, 7, 58])
def test_one_lost_change_is_one_gap_and_one_new_subscription(lost: int) -> None:
    follower = Follower()
    follower.receive(
        snapshot_frame(MARKET.first), *(update_frame(step) for step in MARKET.steps if step is not MARKET.steps[lost])
    )
    sync = follower.sync
    assert (sync.state, sync.stats.gaps) == (BookState.GAP, 1)
    assert sync.gap is not None
    assert (sync.gap.expected, sync.gap.got) == MARKET.steps[lost].ids
    assert all(shown == EXPECTED[one] for one, shown in follower.states)
    assert sync.next_resync(AT_NS + 1_000 * MS) is ResyncMethod.RESUBSCRIBE
    sync.on_subscribed(AT_NS + 1_100 * MS, pushes_snapshot=True)
    follower.receive(snapshot_frame(MARKET.steps[-1]))
    assert (sync.state, follower.states[-1]) == (BookState.SYNCED, (MARKET.steps[-1].ids[1], MARKET.steps[-1].after))


def test_a_valid_checksum_agrees_at_every_state() -> None:
    follower = Follower()
    frames = [update_frame(step, checksum=book_checksum(step)) for step in MARKET.steps]
    follower.receive(snapshot_frame(MARKET.first, checksum=book_checksum(MARKET.first)), *frames)
    assert_true_from(follower, MARKET.first)
    assert follower.sync.stats.checksum_mismatches == 0


def test_a_checksum_of_zero_is_no_checksum() -> None:
    follower = Follower()
    follower.receive(
        snapshot_frame(MARKET.first, checksum=0), *(update_frame(step, checksum=0) for step in MARKET.steps)
    )
    assert_true_from(follower, MARKET.first)


def test_no_checksum_at_all_is_no_checksum() -> None:
    follower = Follower()
    follower.receive(
        snapshot_frame(MARKET.first, checksum=None), *(update_frame(step, checksum=None) for step in MARKET.steps)
    )
    assert_true_from(follower, MARKET.first)


def test_a_wrong_checksum_is_a_new_subscription_and_counted() -> None:
    follower = Follower()
    wrong = update_frame(MARKET.steps[0], checksum=book_checksum(MARKET.steps[0]) ^ 1)
    assert follower.receive(snapshot_frame(MARKET.first), wrong) == [SyncResult.SYNCED, SyncResult.DESYNCED]
    assert (follower.sync.state, follower.sync.stats.checksum_mismatches) == (BookState.GAP, 1)
    assert follower.sync.next_resync(AT_NS + 1_000 * MS) is ResyncMethod.RESUBSCRIBE


def test_a_wrong_checksum_is_ignored_where_none_is_verified() -> None:
    follower = Follower(checksum=ChecksumMode.NEVER)
    follower.receive(snapshot_frame(MARKET.first), *(update_frame(step, checksum=1) for step in MARKET.steps))
    assert_true_from(follower, MARKET.first)


def test_frames_of_old_captures_are_applied_one_after_the_other() -> None:
    follower = Follower()
    unnumbered = {"prevSeqId": None, "seqId": None}
    follower.receive(
        snapshot_frame(MARKET.first, **unnumbered), *(update_frame(step, **unnumbered) for step in MARKET.steps)
    )
    assert [shown for _, shown in follower.states] == list(EXPECTED.values())
    assert (follower.sync.stats.applied, follower.sync.stats.gaps) == (60, 0)


def test_a_change_that_lost_its_ids_is_a_gap_in_a_numbered_book() -> None:
    follower = Follower()
    follower.receive(snapshot_frame(MARKET.first), update_frame(MARKET.steps[0], prevSeqId=None, seqId=None))
    assert (follower.sync.state, follower.sync.stats.gaps) == (BookState.GAP, 1)
