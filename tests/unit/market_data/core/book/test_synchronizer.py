"""The synchronizer of one book: its states, its bounds, and what makes it resync."""

from collections.abc import Callable

import pytest
from typing_extensions import override

from components.contracts.market import BookState
from components.contracts.values import Symbol
from components.market_data.core.book.order_book import OrderBook
from components.market_data.core.book.sequencing import RangeRule, ResyncMethod
from components.market_data.core.book.synchronizer import BookSynchronizer, DetectedGap, SyncLimits, SyncResult
from components.market_data.core.events import DepthSnapshot, DepthUpdate
from components.market_data.core.numerics import Level

FETCHING = RangeRule(resync_method=ResyncMethod.FETCH, fallback_method=ResyncMethod.FETCH, ranges_overlap=False)
RESUBSCRIBING = RangeRule(
    resync_method=ResyncMethod.RESUBSCRIBE, fallback_method=ResyncMethod.FETCH, ranges_overlap=False
)
NAME = Symbol("TEST:A-B")
START_NS = 1_000_000_000_000
MS = 1_000_000
BIDS: list[Level] = [("99", "1")]
ASKS: list[Level] = [("101", "1")]


def after(ms: float) -> int:
    return START_NS + int(ms * MS)


def update(previous: int, final: int, *, bid: str = "99", size: str = "2", at_ms: float = 0) -> DepthUpdate:
    return DepthUpdate(NAME, previous, final, [(bid, size)], [], after(at_ms), after(at_ms))


def snapshot(final: int, *, is_pushed: bool = False, at_ms: float = 0, bid: str = "99") -> DepthSnapshot:
    return DepthSnapshot(NAME, final, [(bid, "1")], ASKS, after(at_ms), after(at_ms), is_pushed=is_pushed)


def engine(
    rule: RangeRule = FETCHING, jitter: Callable[[], float] = lambda: 0.0, *, pushes: bool = False, **bounds: object
) -> BookSynchronizer:
    sync = BookSynchronizer(NAME, rule, SyncLimits(**bounds), START_NS, jitter)  # type: ignore[arg-type]
    sync.on_subscribed(START_NS, pushes_snapshot=pushes)
    return sync


def live(**bounds: object) -> BookSynchronizer:
    """A book at id 10."""
    sync = engine(**bounds)  # type: ignore[arg-type]
    assert sync.apply_snapshot(snapshot(10)) is SyncResult.SYNCED
    return sync


def bids(sync: BookSynchronizer) -> list[tuple[str, ...]]:
    return list(sync.book.top(100)[0])


def test_before_its_subscription_a_book_requests_nothing() -> None:
    sync = BookSynchronizer(NAME, FETCHING, SyncLimits(), START_NS, lambda: 0.0)
    assert (sync.state, sync.is_live, sync.next_resync(after(60_000))) == (BookState.SYNCING, False, None)


def test_a_snapshot_is_requested_after_the_first_update() -> None:
    sync = engine()
    assert sync.next_resync(after(100)) is None
    assert sync.apply_update(update(10, 11, at_ms=120)) is SyncResult.BUFFERED
    assert sync.next_resync(after(120)) is ResyncMethod.FETCH
    assert sync.next_resync(after(121)) is None


def test_a_quiet_subscription_requests_its_snapshot_all_the_same() -> None:
    sync = engine(first_update_timeout_ms=500)
    assert sync.next_resync(after(499)) is None
    assert sync.next_resync(after(500)) is ResyncMethod.FETCH


def test_a_missing_snapshot_is_requested_again() -> None:
    sync = engine(snapshot_timeout_ms=5_000)
    sync.apply_update(update(10, 11))
    assert sync.next_resync(after(0)) is ResyncMethod.FETCH
    assert sync.next_resync(after(4_999)) is None
    assert sync.next_resync(after(5_000)) is ResyncMethod.FETCH


def test_a_pushed_snapshot_is_waited_for_and_then_fetched() -> None:
    sync = engine(RESUBSCRIBING, pushes=True, pushed_snapshot_timeout_ms=3_000)
    sync.apply_update(update(10, 11))
    assert sync.next_resync(after(2_999)) is None
    assert sync.next_resync(after(3_000)) is ResyncMethod.FETCH


def test_what_was_buffered_is_replayed_on_the_snapshot() -> None:
    sync = engine()
    for final in (10, 11, 12):
        sync.apply_update(update(final - 1, final, size=str(final)))
    assert sync.apply_snapshot(snapshot(10)) is SyncResult.SYNCED
    assert (sync.last_id, bids(sync), sync.state) == (12, [("99", "12")], BookState.SYNCED)
    assert (sync.stats.updates, sync.stats.applied, sync.stats.stale) == (3, 2, 1)


def test_a_buffer_that_overflows_drops_all_of_it() -> None:
    sync = engine(buffered_updates_max=3)
    for final in range(11, 15):
        sync.apply_update(update(final - 1, final))
    assert sync.stats.buffer_overflows == 1
    assert sync.apply_snapshot(snapshot(10)) is SyncResult.IGNORED
    assert sync.apply_snapshot(snapshot(13)) is SyncResult.SYNCED
    assert (sync.last_id, sync.stats.gaps) == (14, 0)


def test_a_snapshot_from_before_the_buffer_is_fetched_again_and_the_buffer_kept() -> None:
    sync = engine()
    sync.apply_update(update(20, 21, at_ms=1))
    sync.next_resync(after(1))
    assert sync.apply_snapshot(snapshot(15, at_ms=50), sync.epoch) is SyncResult.IGNORED
    assert (sync.state, sync.stats.snapshots_too_old) == (BookState.SYNCING, 1)
    assert sync.next_resync(after(50)) is ResyncMethod.FETCH
    assert sync.apply_snapshot(snapshot(20), sync.epoch) is SyncResult.SYNCED
    assert sync.last_id == 21


def test_a_reply_to_an_older_request_is_ignored() -> None:
    sync = engine()
    sync.apply_update(update(10, 11))
    sync.next_resync(after(0))
    requested = sync.epoch
    sync.on_disconnect("cut", after(1))
    sync.on_subscribed(after(2), pushes_snapshot=False)
    assert sync.apply_snapshot(snapshot(10), requested) is SyncResult.IGNORED
    sync.on_snapshot_failed("503", requested, after(3))
    assert (sync.is_live, sync.reason) == (False, "subscribed")


def test_a_fetched_snapshot_does_not_disturb_a_book_that_is_live() -> None:
    sync = live()
    sync.apply_update(update(10, 11))
    assert sync.apply_snapshot(snapshot(5), sync.epoch) is SyncResult.IGNORED
    assert sync.last_id == 11


def test_a_pushed_snapshot_replaces_the_book_at_any_time() -> None:
    sync = live()
    sync.apply_update(update(10, 11, bid="98"))
    assert sync.apply_snapshot(snapshot(5, is_pushed=True)) is SyncResult.SYNCED
    assert (sync.last_id, bids(sync), sync.state) == (5, [("99", "1")], BookState.SYNCED)
    assert sync.apply_update(update(5, 6)) is SyncResult.APPLIED


def test_a_pushed_snapshot_makes_the_buffer_stale() -> None:
    sync = engine(RESUBSCRIBING, pushes=True)
    sync.apply_update(update(7, 9))
    sync.apply_update(update(9, 11))
    assert sync.apply_snapshot(snapshot(10, is_pushed=True)) is SyncResult.SYNCED
    assert (sync.last_id, sync.stats.stale, sync.stats.applied) == (10, 2, 0)


@pytest.mark.parametrize(("failures", "ceiling_ms"), [(1, 250), (2, 500), (3, 1_000), (5, 3_000), (200, 3_000)])
@pytest.mark.parametrize("jitter", [0.0, 0.999999])
def test_failures_are_retried_after_growing_jittered_and_capped_delays(
    failures: int, ceiling_ms: int, jitter: float
) -> None:
    sync = engine(jitter=lambda: jitter, retry_ms_first=250, retry_ms_max=3_000)
    for attempt in range(failures):
        assert sync.next_resync(after(60_000 * (attempt + 1))) is ResyncMethod.FETCH
        sync.on_snapshot_failed("503", sync.epoch, START_NS)
    delay_ms = ceiling_ms * jitter
    assert sync.next_resync(after(delay_ms) - MS) is None
    assert sync.next_resync(after(delay_ms)) is ResyncMethod.FETCH


def test_a_retry_after_delay_is_respected() -> None:
    sync = engine()
    sync.on_snapshot_failed("429", sync.epoch, START_NS, retry_after_ms=7_000)
    assert sync.next_resync(after(6_999)) is None
    assert sync.next_resync(after(7_000)) is ResyncMethod.FETCH


def test_a_gap_is_reported_once_and_the_book_is_out_of_sync() -> None:
    sync = live()
    assert sync.apply_update(update(12, 13, at_ms=9)) is SyncResult.DESYNCED
    assert sync.gap == DetectedGap(10, 12, after(9))
    assert (sync.state, sync.since_ns, sync.is_live) == (BookState.GAP, after(9), False)
    assert (sync.stats.gaps, sync.stats.resyncs) == (1, 1)


def test_the_update_behind_a_gap_may_follow_the_next_snapshot() -> None:
    sync = live()
    sync.apply_update(update(12, 13, size="13"))
    sync.apply_update(update(13, 14, size="14"))
    assert sync.apply_snapshot(snapshot(12)) is SyncResult.SYNCED
    assert (sync.last_id, bids(sync)) == (14, [("99", "14")])


def test_a_gap_within_the_buffer_breaks_the_join_and_keeps_what_came_behind_it() -> None:
    sync = engine()
    for previous, final in ((10, 11), (13, 14), (14, 15)):
        sync.apply_update(update(previous, final))
    assert sync.apply_snapshot(snapshot(10)) is SyncResult.DESYNCED
    assert (sync.state, sync.gap) == (BookState.GAP, DetectedGap(11, 13, START_NS))
    assert sync.apply_snapshot(snapshot(13)) is SyncResult.SYNCED
    assert (sync.last_id, sync.stats.gaps) == (15, 1)


def test_a_book_that_is_resubscribed_for_forgets_its_buffer() -> None:
    sync = engine(RESUBSCRIBING, pushes=True)
    sync.apply_snapshot(snapshot(10, is_pushed=True))
    sync.apply_update(update(12, 13))
    assert sync.next_resync(after(0)) is ResyncMethod.RESUBSCRIBE
    sync.on_subscribed(after(100), pushes_snapshot=True)
    assert sync.apply_update(update(20, 21)) is SyncResult.BUFFERED
    assert sync.apply_snapshot(snapshot(30, is_pushed=True)) is SyncResult.SYNCED
    assert sync.last_id == 30


def test_a_resubscription_without_a_snapshot_uses_the_fallback() -> None:
    sync = engine(RESUBSCRIBING, pushes=True, snapshot_timeout_ms=5_000)
    sync.apply_snapshot(snapshot(10, is_pushed=True))
    sync.apply_update(update(12, 13))
    assert sync.next_resync(after(0)) is ResyncMethod.RESUBSCRIBE
    assert sync.next_resync(after(5_000)) is ResyncMethod.FETCH


def test_a_book_that_was_crossed_needs_a_new_snapshot() -> None:
    sync = live()
    assert sync.apply_update(update(10, 11, bid="102", at_ms=1)) is SyncResult.APPLIED
    assert (sync.state, sync.is_live) == (BookState.CROSSED, True)
    assert sync.apply_update(update(11, 12, bid="102", size="0", at_ms=2)) is SyncResult.DESYNCED
    assert (sync.state, sync.stats.crossed, sync.stats.resyncs) == (BookState.CROSSED, 1, 1)


def test_in_a_recording_a_crossing_is_only_counted() -> None:
    sync = live(ignore_timeouts=True)
    sync.apply_update(update(10, 11, bid="102"))
    assert sync.apply_update(update(11, 12, bid="102", size="0")) is SyncResult.APPLIED
    assert (sync.state, sync.stats.crossed, sync.stats.resyncs) == (BookState.SYNCED, 1, 0)


def test_a_pushed_snapshot_ends_a_crossing() -> None:
    sync = live()
    sync.apply_update(update(10, 11, bid="102"))
    sync.apply_snapshot(snapshot(12, is_pushed=True))
    assert sync.check_timeouts(after(60_000))
    assert sync.apply_update(update(12, 13)) is SyncResult.APPLIED


def test_a_book_that_breaks_again_and_again_waits_longer_each_time() -> None:
    sync = engine(jitter=lambda: 0.999)
    waits = []
    for attempt in range(4):
        sync.apply_snapshot(snapshot(100 * attempt + 20, at_ms=attempt))
        sync.apply_update(update(100 * attempt + 22, 100 * attempt + 23, at_ms=attempt))
        waits.append(next(ms for ms in range(10_000) if sync.next_resync(after(attempt + ms)) is not None))
    assert waits == sorted(waits)
    assert waits[-1] > 3 * waits[0] > 0


def test_a_refetch_stays_a_fetch_until_it_is_clear_that_it_does_not_help() -> None:
    sync = engine(RESUBSCRIBING, pushes=True)
    methods = []
    for attempt in range(1, 7):
        methods.append(sync.next_resync(after(60_000 * attempt)))
        sync.on_snapshot_failed("503", sync.epoch, after(60_000 * attempt))
    assert methods == [ResyncMethod.FETCH] * 5 + [ResyncMethod.RESUBSCRIBE]


def test_a_disconnected_book_requests_nothing_whatever_still_arrives() -> None:
    sync = live()
    sync.on_disconnect("the line is gone", after(1))
    sync.apply_update(update(10, 11, at_ms=2))
    sync.resync(BookState.GAP, "an audit", after(3))
    assert sync.next_resync(after(60_000)) is None


def test_a_locked_book_is_crossed() -> None:
    sync = live()
    sync.apply_update(update(10, 11, bid="101"))
    assert sync.state is BookState.CROSSED


def test_a_book_that_crosses_for_two_events_is_given_up() -> None:
    sync = live()
    sync.apply_update(update(10, 11, bid="102"))
    assert sync.apply_update(update(11, 12)) is SyncResult.DESYNCED
    assert (sync.state, sync.is_live, sync.stats.resyncs) == (BookState.CROSSED, False, 1)


def test_a_book_that_crosses_for_250_ms_is_given_up() -> None:
    sync = live()
    sync.apply_update(update(10, 11, bid="102", at_ms=100))
    assert sync.check_timeouts(after(349))
    assert not sync.check_timeouts(after(350))
    assert sync.state is BookState.CROSSED


def test_a_crossed_snapshot_is_not_in_sync() -> None:
    sync = engine()
    assert sync.apply_snapshot(snapshot(10, bid="102")) is SyncResult.SYNCED
    assert sync.state is BookState.CROSSED
    assert not sync.check_timeouts(after(250))


def test_an_auction_may_cross() -> None:
    sync = live(may_cross=True)
    for final in (11, 12, 13):
        assert sync.apply_update(update(final - 1, final, bid="102")) is SyncResult.APPLIED
    assert (sync.state, sync.check_timeouts(after(60_000)), sync.stats.crossed) == (BookState.SYNCED, True, 3)


def test_fifty_stale_updates_in_a_row_mean_that_the_ids_were_reset() -> None:
    sync = live()
    result = [sync.apply_update(update(4, 5)) for _ in range(50)]
    assert result == [SyncResult.STALE] * 49 + [SyncResult.DESYNCED]
    assert (sync.state, sync.is_live) == (BookState.GAP, False)


def test_stale_updates_for_five_seconds_mean_that_the_ids_were_reset() -> None:
    sync = live()
    for at_ms in range(0, 5_000, 500):
        sync.apply_update(update(4, 5, at_ms=at_ms))
    assert sync.check_timeouts(after(60_000)), "silence after an old change says nothing of the ids"
    assert sync.apply_update(update(4, 5, at_ms=5_000)) is SyncResult.DESYNCED
    assert sync.state is BookState.GAP


def test_one_good_update_resets_the_count_of_stale_ones() -> None:
    sync = live()
    for _ in range(49):
        sync.apply_update(update(4, 5))
    sync.apply_update(update(10, 11))
    assert sync.apply_update(update(4, 5)) is SyncResult.STALE
    assert sync.is_live


def test_with_ignored_timeouts_only_ids_count() -> None:
    sync = live(ignore_timeouts=True)
    for _ in range(200):
        assert sync.apply_update(update(4, 5)) is SyncResult.STALE
    for final in (11, 12, 13):
        assert sync.apply_update(update(final - 1, final, bid="102")) is SyncResult.APPLIED
    assert sync.check_timeouts(after(3_600_000))
    assert sync.apply_update(update(20, 21)) is SyncResult.DESYNCED


def test_a_lost_stream_requests_nothing_until_it_is_back() -> None:
    sync = live()
    sync.on_disconnect("cut", after(5))
    assert (sync.state, sync.reason, sync.since_ns, sync.is_live) == (BookState.GAP, "cut", after(5), False)
    assert sync.next_resync(after(60_000)) is None
    sync.on_snapshot_failed("late", sync.epoch, after(10))
    assert sync.next_resync(after(60_000)) is None
    sync.on_subscribed(after(100), pushes_snapshot=False)
    assert sync.next_resync(after(600)) is ResyncMethod.FETCH


def test_what_was_buffered_on_a_lost_stream_is_forgotten() -> None:
    sync = engine()
    sync.apply_update(update(10, 11))
    sync.on_disconnect("cut", after(1))
    sync.on_subscribed(after(2), pushes_snapshot=False)
    sync.apply_snapshot(snapshot(10))
    assert sync.last_id == 10


@pytest.mark.parametrize("size", ["x", "", "NaN", "-1", "Infinity"])
def test_an_invalid_update_restarts_the_book(size: str) -> None:
    sync = live()
    assert sync.apply_update(update(10, 11, size=size)) is SyncResult.DESYNCED
    assert (sync.state, sync.stats.malformed, sync.stats.applied) == (BookState.GAP, 1, 0)
    assert sync.apply_snapshot(snapshot(20)) is SyncResult.SYNCED
    assert bids(sync) == BIDS


def test_an_invalid_snapshot_is_requested_again() -> None:
    sync = engine()
    sync.apply_update(update(10, 11))
    sync.next_resync(after(0))
    assert sync.apply_snapshot(snapshot(10, bid="0"), sync.epoch) is SyncResult.IGNORED
    assert (sync.is_live, sync.stats.malformed, sync.next_resync(after(1))) == (False, 1, ResyncMethod.FETCH)


def test_a_missed_frame_restarts_a_live_book() -> None:
    sync = live()
    sync.on_decode_failure("a frame was malformed", after(1))
    assert (sync.state, sync.is_live, sync.stats.malformed) == (BookState.GAP, False, 1)


def test_a_missed_frame_while_joining_changes_nothing_else() -> None:
    sync = engine()
    sync.on_decode_failure("a frame was malformed", after(1))
    assert (sync.stats.malformed, sync.stats.resyncs, sync.next_resync(after(500))) == (1, 0, ResyncMethod.FETCH)


def test_a_book_that_grows_without_bound_restarts() -> None:
    sync = live(levels_max=3)
    for number in range(3):
        sync.apply_update(update(10 + number, 11 + number, bid=str(90 + number)))
    assert not sync.check_timeouts(after(1))
    assert sync.state is BookState.SYNCING


def test_a_silent_book_is_stale_until_the_next_change() -> None:
    sync = live()
    sync.mark_stale("no update for 5000 ms", after(5_000))
    assert (sync.state, sync.is_live) == (BookState.STALE, True)
    sync.apply_update(update(10, 11, at_ms=6_000))
    assert (sync.state, sync.since_ns) == (BookState.SYNCED, after(6_000))


class BidCountChecksumRule(RangeRule, frozen=True):
    """A rule whose checksum is the count of bids."""

    @override
    def checksum_matches(self, book: OrderBook, checksum: int) -> bool:
        return len(book.bids.price_keys) == checksum


@pytest.mark.parametrize(
    ("checksum", "result", "mismatched"),
    [(0, SyncResult.APPLIED, 0), (1, SyncResult.APPLIED, 0), (7, SyncResult.DESYNCED, 1)],
)
def test_a_checksum_that_differs_breaks_the_book(checksum: int, result: SyncResult, mismatched: int) -> None:
    sync = engine(
        BidCountChecksumRule(resync_method=ResyncMethod.FETCH, fallback_method=ResyncMethod.FETCH, ranges_overlap=False)
    )
    sync.apply_snapshot(snapshot(10))
    one = DepthUpdate(NAME, 10, 11, BIDS, [], START_NS, START_NS, checksum)
    assert (sync.apply_update(one), sync.stats.checksum_mismatches) == (result, mismatched)


def test_the_observer_sees_every_state() -> None:
    sync = engine()
    seen: list[tuple[int, bool]] = []

    def look(*, advanced: bool) -> None:
        seen.append((sync.last_id, advanced))

    sync.observer = look
    sync.apply_snapshot(snapshot(10))
    sync.apply_update(update(10, 12))
    sync.apply_update(update(4, 5))
    assert seen == [(10, True), (12, True)]
