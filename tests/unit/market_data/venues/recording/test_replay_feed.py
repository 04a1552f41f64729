"""A recording in place of a venue: the same messages in the same order, with snapshots for requests."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from components.contracts.errors import InvariantError
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import (
    BookStreamUp,
    DecodedFrame,
    DepthSnapshot,
    FeedDown,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
    Resubscribe,
    Resubscribed,
    SnapshotUnavailable,
)
from components.market_data.core.recording import Via
from components.market_data.venues.recording.reader import Recording, open_recording
from components.market_data.venues.recording.replay_feed import ReplayFeed, ReplayPacer, replay_events, throttled
from components.runtime.clock import SystemClock
from tests.support.eventually import eventually_async
from tests.support.manual_clock import ManualClock
from tests.support.shipped_recordings import ShippedRecording, shipped_recordings

SPOT, _, OKX, _ = shipped_recordings()
BTC, BINANCE = Symbol("BINANCE:BTC-USDT"), Venue("BINANCE")
FETCH = FetchSnapshot(BINANCE, BTC, 1)
S = 1_000_000_000


def feed_of(one: ShippedRecording) -> ReplayFeed:
    recording = Recording([one.path])
    return ReplayFeed(recording, open_recording(recording), 0, SystemClock())


def played(one: ShippedRecording) -> list[tuple[int, Any]]:
    recording = Recording([one.path])
    return list(replay_events(recording, open_recording(recording), ManualClock()))


async def delivered_by(feed: ReplayFeed, during: Callable[[], Coroutine[Any, Any, None]] | None = None) -> list[Any]:
    message: list[Any] = []
    task = asyncio.create_task(feed.run(message.append))
    if during is not None:
        await during()

    async def is_over() -> bool:
        return bool(message) and isinstance(message[-1], FeedDown)

    await eventually_async(is_over, every_s=0.001)
    task.cancel()
    return message


@pytest.mark.parametrize("one", shipped_recordings(), ids=lambda one: one.venue)
def test_a_venue_is_opened_before_its_first_frame(one: ShippedRecording) -> None:
    words = [message for _, message in played(one)]
    symbol, venue = Symbol(one.symbol), Venue(one.venue)
    assert isinstance(words[0], InstrumentsLoaded)
    assert [listed.symbol for listed in words[0].instruments] == [symbol]
    assert words[1:3] == [FeedUp(venue), BookStreamUp(venue, symbol)]
    assert all(isinstance(message, DecodedFrame | DepthSnapshot) for message in words[3:])


@pytest.mark.parametrize("one", shipped_recordings(), ids=lambda one: one.venue)
def test_frames_are_stamped_by_when_they_were_received(one: ShippedRecording) -> None:
    stamps = {frame.at_ns for frame in Recording([one.path]) if frame.via is Via.STREAM}
    framed = [(at_ns, message) for at_ns, message in played(one) if isinstance(message, DecodedFrame)]
    assert all(at_ns == message.received_at_ns and at_ns in stamps for at_ns, message in framed)
    assert len(framed) >= 70


def test_a_feed_delivers_the_recording_and_then_goes_down() -> None:
    message = asyncio.run(delivered_by(feed_of(SPOT)))
    assert [type(one) for one in message[:3]] == [InstrumentsLoaded, FeedUp, BookStreamUp]
    assert message[-1] == FeedDown(BINANCE, "the recording has ended", is_permanent=True)
    assert sum(isinstance(one, DecodedFrame) for one in message) == sum(
        frame.via is Via.STREAM for frame in Recording([SPOT.path])
    )


def test_a_request_before_the_snapshot_waits_for_it() -> None:
    async def scene() -> object:
        feed, answers = feed_of(SPOT), list[object]()

        async def ask() -> None:
            answers.append(await feed.call(FETCH))

        await delivered_by(feed, ask)
        return answers[0]

    snapshot = asyncio.run(scene())
    assert isinstance(snapshot, DepthSnapshot)
    assert snapshot.last_id == min(SPOT.recording.expected_tops)


def test_a_request_after_the_snapshot_gets_it_once() -> None:
    async def scene() -> list[object]:
        feed = feed_of(SPOT)
        await delivered_by(feed)
        return [await feed.call(FETCH), await feed.call(FETCH)]

    snapshot, nothing = asyncio.run(scene())
    assert isinstance(snapshot, DepthSnapshot)
    assert nothing == SnapshotUnavailable("the recording has ended", 0.0)


def test_a_later_request_takes_the_place_of_an_earlier_one() -> None:
    async def scene() -> tuple[object, object]:
        feed = feed_of(SPOT)
        first = asyncio.create_task(feed.call(FETCH))
        await asyncio.sleep(0)
        second = asyncio.create_task(feed.call(FetchSnapshot(BINANCE, BTC, 2)))
        await delivered_by(feed)
        return await first, await second

    given_up, snapshot = asyncio.run(scene())
    assert given_up == SnapshotUnavailable("replaced by a newer request", 0.0)
    assert isinstance(snapshot, DepthSnapshot)


def test_a_cancelled_request_does_not_affect_others() -> None:
    async def scene() -> None:
        feed = feed_of(SPOT)
        request_task = asyncio.create_task(feed.call(FETCH))
        await asyncio.sleep(0)
        request_task.cancel()
        await delivered_by(feed)

    asyncio.run(scene())


def test_pending_requests_fail_at_the_end() -> None:
    async def scene() -> object:
        feed = feed_of(OKX)
        request_task = asyncio.create_task(feed.call(FetchSnapshot(Venue("OKX"), Symbol(OKX.symbol), 1)))
        await asyncio.sleep(0)
        await feed.open()
        await feed.close()
        return await request_task

    assert asyncio.run(scene()) == SnapshotUnavailable("the recording has ended", 0.0)


def test_a_recording_cannot_be_resubscribed() -> None:
    feed = feed_of(OKX)
    assert asyncio.run(feed.call(Resubscribe(Venue("OKX"), Symbol(OKX.symbol), 1))) == Resubscribed()


def test_other_requests_are_a_bug() -> None:
    with pytest.raises(InvariantError):
        asyncio.run(feed_of(OKX).call("what?"))


@pytest.mark.parametrize(("speed", "waits_s"), [(0, [0, 0, 0]), (1, [0, 2, 1]), (4, [0, 0.5, 0.25])])
def test_recorded_time_passes_at_the_wanted_speed(speed: float, waits_s: list[float]) -> None:
    pace = ReplayPacer(speed, ManualClock())
    assert [pace.wait_s(at_ns) for at_ns in (7 * S, 9 * S, 8 * S)] == waits_s


def test_processing_time_is_subtracted_from_the_delay() -> None:
    clock = ManualClock()
    pace = ReplayPacer(2, clock)
    pace.wait_s(0)
    clock.advance_ms(1_000)
    assert [pace.wait_s(4 * S), pace.wait_s(1 * S)] == [1.0, -0.5]


def test_pacing_changes_nothing_but_the_time() -> None:
    words = [(at_ns, FeedUp(BINANCE)) for at_ns in (S, S + 1_000_000, S + 2_000_000)]
    assert list(throttled(words, ReplayPacer(1, SystemClock()))) == words
