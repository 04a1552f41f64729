"""The defects of an earlier collector that need sockets, files or threads; the table is with the other regressions."""

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
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import BookClosed, BookOpened, FeedMessage, FetchImage, Framed, LineClosed
from components.market_data.core.queues import Bounds, Policy
from components.market_data.core.recording import list_parts
from components.market_data.venues.counts import VenueCounts
from components.market_data.venues.delivery import Delivery
from components.market_data.venues.dialect import Channel, Read
from components.market_data.venues.feed import VenueFeed
from components.market_data.venues.many import ManyFeeds
from components.market_data.venues.recorder import Recorder, RecorderLimits
from components.runtime.clock import SystemClock
from components.runtime.disk import OpenFile, RealDisk
from components.runtime.metrics import Metrics
from components.runtime.retry import Backoff
from tests.support.eventually import eventually_async
from tests.support.toy_venue import ONE, TOY, Script, ToyDialect, ToyEar, ToyVenue, confirm, toy_config

pytestmark = pytest.mark.integration

MANY = 300
OTHER = Venue("OTHER")


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(test, 20))


class SlowBooks(ToyVenue):
    """A venue whose images come only when they are let."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(*scripts)
        self.may = asyncio.Event()

    @override
    async def _answer(self, connection: ServerConnection, request: Request) -> Response | None:  # type: ignore[override]  # the server takes both kinds
        answer = super()._answer(connection, request)
        if request.path.startswith("/book"):
            await self.may.wait()
        return answer


async def pour_when_asked(venue: ToyVenue, connection: ServerConnection) -> None:
    """Confirm, and once an image is asked for say much at once."""
    (name, *_) = await confirm(venue, connection)

    async def is_asked() -> bool:
        return any(path.startswith("/book") for path in venue.asked)

    await eventually_async(is_asked)
    for _ in range(MANY):
        await connection.send(venue.change(name.partition(":")[2]))
    await venue.is_over


def test_the_socket_is_read_while_an_image_is_fetched() -> None:
    async def scene() -> None:
        async with SlowBooks(pour_when_asked) as venue, ToyEar(venue, ONE) as ear:
            await ear.hears(BookOpened)
            fetching = asyncio.create_task(ear.feed.call(FetchImage(TOY, ONE, 1)))
            await ear.hears(DepthChange, MANY)
            assert not fetching.done()
            venue.may.set()
            assert isinstance(await fetching, DepthImage)

    on_a_loop(scene())


class Buggy(ToyDialect):
    """A venue's adapter that fails as no adapter should, on its first frames."""

    venue = OTHER

    def __init__(self, venue: ToyVenue) -> None:
        super().__init__(venue)
        self.failures = 2

    @override
    def read(self, frame: bytes, received_at_ns: int) -> Read:
        if frame.startswith(b'{"d"') and self.failures:
            self.failures -= 1
            raise RuntimeError("a bug of this venue's adapter")
        return super().read(frame, received_at_ns)


async def say_on(venue: ToyVenue, connection: ServerConnection) -> None:
    """Confirm everything and go on with changes."""
    names = await confirm(venue, connection)
    while not venue.is_over.done():
        for name in names:
            await connection.send(venue.change(name.partition(":")[2]))
        await asyncio.wait([venue.is_over], timeout=0.02)


def feed(dialect: ToyDialect, venue: ToyVenue) -> VenueFeed:
    return VenueFeed(dialect, toy_config(venue), SystemClock(), lambda: 0.1, Metrics("test", "0"))


def of(told: Sequence[Any], venue: Venue, kind: type[Any]) -> list[Any]:
    return [one for one in told if isinstance(one, kind) and one.venue == venue]


def test_an_adapters_bug_ends_neither_its_venue_for_good_nor_another() -> None:
    async def scene() -> None:
        told: list[Any] = []
        async with ToyVenue(say_on) as healthy, ToyVenue(say_on) as sick:
            feeds = [feed(ToyDialect(healthy), healthy), feed(Buggy(sick), sick)]
            many = ManyFeeds(feeds, None, Backoff(first_ms_max=10, delay_ms_max=10), lambda: 0.5)
            running = asyncio.create_task(many.run(told.append))

            async def is_back() -> bool:
                return len(of(told, OTHER, Framed)) >= 3 and len(of(told, TOY, Framed)) >= 3

            await eventually_async(is_back)
            before = len(of(told, TOY, Framed))

            async def goes_on() -> bool:
                return len(of(told, TOY, Framed)) > before

            await eventually_async(goes_on)
            running.cancel()
            await asyncio.wait([running])
            await many.close()
            assert len(healthy.connections) == 1
        reasons = [one.reason for one in of(told, OTHER, LineClosed)]
        assert sum("a bug: " in reason for reason in reasons) == 2
        assert len(of(told, OTHER, BookClosed)) >= 2
        assert of(told, TOY, LineClosed) == of(told, TOY, BookClosed) == []

    on_a_loop(scene())


class StuckDisk(RealDisk):
    """Writes only when it is let."""

    def __init__(self) -> None:
        self.may, self.tried = Event(), Event()

    @override
    def write(self, file: OpenFile, offset: int, content: bytes) -> None:
        self.tried.set()
        self.may.wait(10)
        super().write(file, offset, content)


def test_a_stuck_disk_holds_up_no_frame_and_the_end_writes_all_into_files_of_bounded_size(tmp_path: Path) -> None:
    disk, told, bytes_max = StuckDisk(), list[FeedMessage](), 5_000

    async def scene(recorder: Recorder) -> None:
        async with ToyVenue(say_on) as venue:
            tapped = VenueFeed(
                ToyDialect(venue),
                toy_config(venue),
                SystemClock(),
                lambda: 0.1,
                Metrics("test", "0"),
                recorder.tap(TOY),
            )
            running = asyncio.create_task(tapped.run(told.append))

            async def is_stuck_and_goes_on() -> bool:
                return disk.tried.is_set() and len(of(told, TOY, Framed)) >= 100

            await eventually_async(is_stuck_and_goes_on)
            running.cancel()
            await asyncio.wait([running])
            await tapped.close()
        assert not disk.may.is_set()
        disk.may.set()

    with Recorder(tmp_path, RecorderLimits(look_every_s=0.001, file_bytes_max=bytes_max), disk) as recorder:
        on_a_loop(scene(recorder))
    names = [name for name, part in list_parts(path.name for path in tmp_path.iterdir()) if part.is_whole]
    assert len(names) > 1
    assert all((tmp_path / name).stat().st_size <= bytes_max for name in names)
    lines = [json.loads(line) for name in names for line in (tmp_path / name).read_text().splitlines()]
    recorded = [line["text"] for line in lines if line["via"] == "ws" and '"d"' in line["text"]]
    assert len(recorded) == len(of(told, TOY, Framed))
    assert (recorder.report().dropped, recorder.failure) == (0, None)


class Counting(ToyDialect):
    """Counts how often it reads."""

    reads = 0

    @override
    def read(self, frame: bytes, received_at_ns: int) -> Read:
        self.reads += 1
        return super().read(frame, received_at_ns)


def test_each_frame_is_read_once_and_travels_on_as_typed_structs() -> None:
    async def scene() -> None:
        async with ToyVenue(say_on) as venue:
            dialect = Counting(venue)
            async with ToyEar(venue, dialect=dialect) as ear:
                await ear.hears(DepthChange, 40)
            assert dialect.reads == ear.counted("venue_frames_total") > 40
            assert all(isinstance(one, msgspec.Struct) for one in ear.told)
            assert {type(datum) for framed in ear.all(Framed) for datum in framed.data} == {DepthChange}

    on_a_loop(scene())


def test_a_slow_venue_stalls_no_other() -> None:
    metrics, order = Metrics("test", "0"), list[Venue]()

    def deliver(message: FeedMessage) -> None:
        order.append(message.venue)  # type: ignore[union-attr]  # only frames come here

    def delivery(venue: Venue) -> Delivery:
        bounds = {channel: Bounds(1_000, Policy.BLOCK) for channel in Channel}
        return Delivery(deliver, bounds, VenueCounts(metrics, venue))

    async def scene() -> None:
        flooding, calm = delivery(TOY), delivery(OTHER)
        for final in range(MANY):
            flooding.take(framed(TOY, final))
        calm.take(framed(OTHER, 1))
        assert order.index(OTHER) < MANY / 2

        async def is_done() -> bool:
            return len(order) == MANY + 1

        await eventually_async(is_done)

    on_a_loop(scene())


def framed(venue: Venue, final: int) -> Framed:
    return Framed(venue, (DepthChange(Symbol("TOY:ONE-USD"), final - 1, final, [], [], 0, 0),), 0, 0, 1)
