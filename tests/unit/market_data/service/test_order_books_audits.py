"""Audits of the order book service: live books compared with fetched snapshots, and shallow books fetched again."""

import pytest
from msgspec.structs import replace

from components.contracts.market import (
    BookState,
)
from components.market_data.core.events import (
    DepthSnapshot,
    FetchSnapshot,
    SnapshotUnavailable,
)
from components.market_data.service.order_books import AUDIT_EPOCH
from tests.support.metric_samples import metric_value
from tests.support.order_book_harness import (
    BIDS,
    ONE,
    TWO,
    VENUE,
    OrderBookHarness,
    log_events,
    published_states,
    venue_book_settings,
)

AUDITED = venue_book_settings(audit_every_s=60)


@pytest.fixture
def live() -> OrderBookHarness:
    """Two books in sync at id 10."""
    return OrderBookHarness().with_instruments().with_synced_books()


def audits(harness: OrderBookHarness, verdict: str) -> float:
    return metric_value(harness.metrics, "market_book_audits_total", venue=VENUE, verdict=verdict)


def test_the_audits_of_many_books_are_spread_over_their_time() -> None:
    draws = iter([0.0, 0.75, 0.0, 0.0])
    harness = OrderBookHarness(AUDITED, jitter=lambda: next(draws, 0.0)).with_instruments().with_synced_books()
    seconds = {ONE: 0.0, TWO: 0.0}
    for second in range(1, 61):
        for request in harness.requests(harness.advance_ms(1_000)):
            seconds.setdefault(request.symbol, 0)
            seconds[request.symbol] = second
        for symbol in (ONE, TWO):
            harness.deliver_update(harness.subscriber.book_ids[symbol], 10 + second, f"99x{second + 1}", symbol=symbol)
    assert seconds == {ONE: 60, TWO: 15}


def audited(at_s: int = 60) -> tuple[OrderBookHarness, FetchSnapshot]:
    """Return a harness whose book is being audited."""
    harness = OrderBookHarness(AUDITED).with_instruments(ONE).with_synced_books(ONE)
    for _ in range(at_s // 20):
        harness.advance_ms(20_000)
        harness.deliver_update(
            harness.subscriber.book_ids[ONE],
            harness.subscriber.book_ids[ONE] + 1,
            f"99x{harness.subscriber.book_ids[ONE]}",
        )
    (request,) = harness.requests(harness.effects)[1:] or harness.requests(harness.advance_ms(1))
    assert isinstance(request, FetchSnapshot)
    assert request.epoch == AUDIT_EPOCH
    return harness, request


def agreeing(harness: OrderBookHarness) -> DepthSnapshot:
    """Return the snapshot that agrees with the current book."""
    ((_, quantity),) = harness.subscriber.top(ONE, 1)[0]
    return harness.depth_snapshot(harness.subscriber.book_ids[ONE], bids=(("99.0", str(quantity)), *BIDS[1:]))


def test_an_audit_that_agrees_is_only_counted() -> None:
    harness, request = audited()
    assert harness.complete_call(request, agreeing(harness)) == []
    assert audits(harness, "agrees") == 1
    assert harness.requests(harness.advance_ms(50)) == []


def test_an_audit_that_differs_resyncs_the_book_and_is_logged() -> None:
    harness, request = audited()
    effects = harness.complete_call(request, harness.depth_snapshot(harness.subscriber.book_ids[ONE]))
    assert (audits(harness, "differs"), published_states(effects)) == (1, [(ONE, BookState.GAP)])
    assert [log_event.level for log_event in log_events(effects, "book_audit_mismatch")] == ["error"]
    assert len(harness.requests(harness.advance_ms(50))) == 1


def test_an_audit_of_an_older_state_uses_that_state() -> None:
    harness, request = audited()
    snapshot = agreeing(harness)
    harness.deliver_update(snapshot.last_id, snapshot.last_id + 1, "99x77")
    harness.complete_call(request, snapshot)
    assert audits(harness, "agrees") == 1


def test_an_audit_whose_snapshot_is_ahead_waits_for_the_book() -> None:
    harness, request = audited()
    at = harness.subscriber.book_ids[ONE]
    assert harness.complete_call(request, harness.depth_snapshot(at + 2, bids=(("99", "5"), *BIDS[1:]))) == []
    harness.deliver_update(at, at + 1, "99x4")
    assert audits(harness, "agrees") == 0
    harness.deliver_update(at + 1, at + 2, "99x5")
    assert audits(harness, "agrees") == 1


def test_an_audit_of_an_id_that_the_book_never_had_decides_nothing() -> None:
    harness, request = audited()
    assert harness.complete_call(request, harness.depth_snapshot(harness.subscriber.book_ids[ONE] - 7)) == []
    assert (audits(harness, "undecided"), harness.subscriber.is_synced(ONE)) == (1, True)


def test_an_audit_of_a_book_that_moves_on_without_an_answer_decides_nothing() -> None:
    harness, _ = audited()
    at = harness.subscriber.book_ids[ONE]
    for final in range(at + 1, at + 300):
        harness.deliver_update(final - 1, final)
    assert (audits(harness, "undecided"), harness.subscriber.is_synced(ONE)) == (1, True)


def test_an_audit_without_a_snapshot_is_repeated_later() -> None:
    harness, request = audited()
    assert harness.complete_call(request, SnapshotUnavailable("503", 0)) == []
    assert harness.requests(harness.advance_ms(20_000)) == []
    harness.deliver_update(harness.subscriber.book_ids[ONE], harness.subscriber.book_ids[ONE] + 1)
    assert len(harness.requests([*harness.advance_ms(20_000), *harness.advance_ms(20_000)])) == 1


@pytest.mark.parametrize("quantity", ["abc", "1_0", "-1"])
def test_an_audit_by_an_invalid_snapshot_decides_nothing(quantity: str) -> None:
    harness, request = audited()
    assert (
        harness.complete_call(
            request, harness.depth_snapshot(harness.subscriber.book_ids[ONE], bids=(("99", quantity),))
        )
        == []
    )
    assert (audits(harness, "undecided"), harness.subscriber.is_synced(ONE)) == (1, True)


def test_an_audit_by_a_short_snapshot_compares_its_levels() -> None:
    harness, request = audited()
    snapshot = agreeing(harness)
    short = replace(snapshot, bids=snapshot.bids[:2], asks=snapshot.asks[:2], depth_max=2)
    assert harness.complete_call(request, short) == []
    assert audits(harness, "agrees") == 1


def test_a_book_of_which_little_is_left_is_renewed() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10))
    harness.complete_call(request, harness.depth_snapshot(10, depth_max=4))
    harness.deliver_update(10, 11, "99x0", "98x0")
    assert harness.subscriber.is_synced(ONE)
    effects = harness.advance_ms(1_000)
    assert published_states(effects) == [(ONE, BookState.SYNCING)]
    (request,) = harness.requests([*effects, *harness.advance_ms(50)])
    harness.complete_call(request, harness.depth_snapshot(12))
    assert harness.subscriber.is_synced(ONE)


def test_a_book_with_short_snapshots_is_not_fetched_forever() -> None:
    harness = OrderBookHarness(venue_book_settings(levels_published=20)).with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10))
    harness.complete_call(request, harness.depth_snapshot(10, depth_max=4))
    for final in range(11, 21):
        harness.deliver_update(final - 1, final)
        assert harness.requests(harness.advance_ms(1_000)) == []


def test_a_book_that_is_small_in_itself_is_not_renewed() -> None:
    harness = OrderBookHarness().with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10))
    harness.complete_call(request, harness.depth_snapshot(10, bids=(("99", "1"),), depth_max=1_000))
    harness.advance_ms(1_000)
    assert harness.subscriber.is_synced(ONE)
