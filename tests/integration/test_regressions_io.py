"""Defects of earlier versions that need sockets, files or threads."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import msgspec
import pytest
import uvloop
from typing_extensions import override
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from components.contracts.values import Symbol, Venue
from components.market_data.core.events import (
    BookStreamDown,
    BookStreamUp,
    DecodedFrame,
    DepthSnapshot,
    DepthUpdate,
    FeedDown,
    FeedMessage,
    FetchSnapshot,
)
from components.market_data.core.queues import OverflowPolicy, QueueBounds
from components.market_data.core.recording import list_files
from components.market_data.venues.adapter import Channel, Decoded
from components.market_data.venues.connection.delivery import Delivery
from components.market_data.venues.feeds import FeedGroup, VenueFeed
from components.market_data.venues.metrics import VenueMetrics
from components.market_data.venues.recording.capture import Recorder, RecorderLimits
from components.runtime.clock import SystemClock
from components.runtime.filesystem import OpenFile, RealDisk
from components.runtime.metrics import Metrics
from components.runtime.retry import Backoff
from tests.support.eventually import eventually_async
from tests.support.fake_venue import (
    FAKE_VENUE,
    ONE,
    FakeVenue,
    FakeVenueAdapter,
    FeedHarness,
    Script,
    confirm,
    fake_venue_config,
)

pytestmark = pytest.mark.integration

MANY = 300
OTHER = Venue("OTHER")


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(test, 20))


class SlowSnapshots(FakeVenue):
    """A venue whose snapshots are sent only when the test allows it."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(*scripts)
        self.may = asyncio.Event()

    @override
    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:  # type: ignore[override]  # the server takes both kinds
        answer = super()._answer(connection, request)
        if request.path.startswith("/book"):
            await self.may.wait()
        return answer


async def send_updates_when_requested(venue: FakeVenue, connection: ServerConnection) -> None:
    """Confirm, and after a snapshot request send many updates at once."""
    (name, *_) = await confirm(venue, connection)

    async def is_requested() -> bool:
        return any(path.startswith("/book") for path in venue.http_requests)

    await eventually_async(is_requested)
    for _ in range(MANY):
        await connection.send(venue.next_update(name.partition(":")[2]))
    await venue.is_over


def test_the_socket_is_read_while_a_snapshot_is_fetched() -> None:
    async def scene() -> None:
        async with SlowSnapshots(send_updates_when_requested) as venue, FeedHarness(venue, ONE) as harness:
            await harness.wait_for(BookStreamUp)
            fetching = asyncio.create_task(harness.feed.call(FetchSnapshot(FAKE_VENUE, ONE, 1)))
            await harness.wait_for(DepthUpdate, MANY)
            assert not fetching.done()
            venue.may.set()
            assert isinstance(await fetching, DepthSnapshot)

    on_a_loop(scene())


class FailingAdapter(FakeVenueAdapter):
    """An adapter that raises an unexpected exception on its first frames."""

    venue = OTHER

    def __init__(self, venue: FakeVenue) -> None:
        super().__init__(venue)
        self.failures = 2

    @override
    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        if frame.startswith(b'{"d"') and self.failures:
            self.failures -= 1
            raise RuntimeError("a bug of this venue's adapter")
        return super().decode(frame, received_at_ns)


async def confirm_and_send_updates(venue: FakeVenue, connection: ServerConnection) -> None:
    """Confirm everything and continue with updates."""
    names = await confirm(venue, connection)
    while not venue.is_over.done():
        for name in names:
            await connection.send(venue.next_update(name.partition(":")[2]))
        await asyncio.wait([venue.is_over], timeout=0.02)


def feed(adapter: FakeVenueAdapter, venue: FakeVenue) -> VenueFeed:
    return VenueFeed(adapter, fake_venue_config(venue), SystemClock(), lambda: 0.1, Metrics("test", "0"))


def of(delivered: Sequence[Any], venue: Venue, kind: type[Any]) -> list[Any]:
    return [one for one in delivered if isinstance(one, kind) and one.venue == venue]


def test_an_adapters_bug_ends_neither_its_venue_for_good_nor_another() -> None:
    async def scene() -> None:
        delivered: list[Any] = []
        async with FakeVenue(confirm_and_send_updates) as healthy, FakeVenue(confirm_and_send_updates) as sick:
            feeds = [feed(FakeVenueAdapter(healthy), healthy), feed(FailingAdapter(sick), sick)]
            many = FeedGroup(feeds, None, Backoff(first_ms_max=10, delay_ms_max=10), lambda: 0.5)
            running = asyncio.create_task(many.run(delivered.append))

            async def is_back() -> bool:
                return (
                    len(of(delivered, OTHER, DecodedFrame)) >= 3 and len(of(delivered, FAKE_VENUE, DecodedFrame)) >= 3
                )

            await eventually_async(is_back)
            before = len(of(delivered, FAKE_VENUE, DecodedFrame))

            async def goes_on() -> bool:
                return len(of(delivered, FAKE_VENUE, DecodedFrame)) > before

            await eventually_async(goes_on)
            running.cancel()
            await asyncio.wait([running])
            await many.close()
            assert len(healthy.connections) == 1
        reasons = [one.reason for one in of(delivered, OTHER, FeedDown)]
        assert sum("a bug: " in reason for reason in reasons) == 2
        assert len(of(delivered, OTHER, BookStreamDown)) >= 2
        assert of(delivered, FAKE_VENUE, FeedDown) == of(delivered, FAKE_VENUE, BookStreamDown) == []

    on_a_loop(scene())


class StuckDisk(RealDisk):
    """Writes only when the test allows it."""

    def __init__(self) -> None:
        self.may, self.tried = Event(), Event()

    @override
    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        self.tried.set()
        self.may.wait(10)
        super().write(file, offset, content)


def test_a_stuck_disk_holds_up_no_frame_and_the_end_writes_all_into_files_of_bounded_size(tmp_path: Path) -> None:
    disk, delivered, bytes_max = StuckDisk(), list[FeedMessage](), 5_000

    async def scene(recorder: Recorder) -> None:
        async with FakeVenue(confirm_and_send_updates) as venue:
            tapped = VenueFeed(
                FakeVenueAdapter(venue),
                fake_venue_config(venue),
                SystemClock(),
                lambda: 0.1,
                Metrics("test", "0"),
                recorder.tap(FAKE_VENUE),
            )
            running = asyncio.create_task(tapped.run(delivered.append))

            async def is_stuck_and_goes_on() -> bool:
                return disk.tried.is_set() and len(of(delivered, FAKE_VENUE, DecodedFrame)) >= 100

            await eventually_async(is_stuck_and_goes_on)
            running.cancel()
            await asyncio.wait([running])
            await tapped.close()
        assert not disk.may.is_set()
        disk.may.set()

    with Recorder(tmp_path, RecorderLimits(write_every_s=0.001, file_bytes_max=bytes_max), disk) as recorder:
        on_a_loop(scene(recorder))
    names = [name for name, part in list_files(path.name for path in tmp_path.iterdir()) if part.is_complete]
    assert len(names) > 1
    assert all((tmp_path / name).stat().st_size <= bytes_max for name in names)
    lines = [json.loads(line) for name in names for line in (tmp_path / name).read_text().splitlines()]
    recorded = [line["text"] for line in lines if line["via"] == "ws" and '"d"' in line["text"]]
    assert len(recorded) == len(of(delivered, FAKE_VENUE, DecodedFrame))
    assert (recorder.report().dropped, recorder.failure) == (0, None)


class CountingAdapter(FakeVenueAdapter):
    """Counts how often it decodes."""

    reads = 0

    @override
    def decode(self, frame: bytes, received_at_ns: int) -> Decoded:
        self.reads += 1
        return super().decode(frame, received_at_ns)


def test_each_frame_is_read_once_and_travels_on_as_typed_structs() -> None:
    async def scene() -> None:
        async with FakeVenue(confirm_and_send_updates) as venue:
            adapter = CountingAdapter(venue)
            async with FeedHarness(venue, adapter=adapter) as harness:
                await harness.wait_for(DepthUpdate, 40)
            assert adapter.reads == harness.metric_sum("venue_frames_total") > 40
            assert all(isinstance(one, msgspec.Struct) for one in harness.delivered)
            assert {type(datum) for framed in harness.all(DecodedFrame) for datum in framed.data} == {DepthUpdate}

    on_a_loop(scene())


def test_a_slow_venue_stalls_no_other() -> None:
    metrics, order = Metrics("test", "0"), list[Venue]()

    def deliver(message: FeedMessage) -> None:
        order.append(message.venue)  # type: ignore[union-attr]  # only frames come here

    def delivery(venue: Venue) -> Delivery:
        bounds = {channel: QueueBounds(1_000, OverflowPolicy.BLOCK) for channel in Channel}
        return Delivery(deliver, bounds, VenueMetrics(metrics, venue))

    async def scene() -> None:
        flooding, is_quiet = delivery(FAKE_VENUE), delivery(OTHER)
        for final in range(MANY):
            flooding.deliver_frame(framed(FAKE_VENUE, final))
        is_quiet.deliver_frame(framed(OTHER, 1))
        assert order.index(OTHER) < MANY / 2

        async def is_done() -> bool:
            return len(order) == MANY + 1

        await eventually_async(is_done)

    on_a_loop(scene())


def framed(venue: Venue, final: int) -> DecodedFrame:
    return DecodedFrame(venue, (DepthUpdate(Symbol("TOY:ONE-USD"), final - 1, final, [], [], 0, 0),), 0, 0, 1)
