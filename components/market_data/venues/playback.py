"""Plays a recording as a feed: the same words as live, stamped by when they were received, at any speed."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from threading import Event
from typing import Any, Final

from components.contracts.errors import InvariantError
from components.market_data.core.answers import Answers, Played
from components.market_data.core.changes import DepthImage
from components.market_data.core.feed import (
    BookOpened,
    FeedMessage,
    FetchImage,
    Framed,
    LineClosed,
    LineOpened,
    Listed,
    NoImage,
    Resubscribe,
    Resubscribed,
)
from components.market_data.core.recording import Frame, Via
from components.market_data.venues.recorded import Reader
from components.runtime.clock import Clock

NS_PER_S: Final = 1_000_000_000


def play(frames: Iterable[Frame], reader: Reader, clock: Clock) -> Iterator[Played]:
    """Put each frame into the words of a feed; books open with the first frame of a stream."""
    venue, is_open = reader.dialect.venue, False
    for frame in frames:
        if frame.via is Via.STREAM and not is_open:
            is_open = True
            yield from ((frame.at_ns, said) for said in _opening(reader))
        began_ns = clock.monotonic_ns()
        data = tuple(reader.read(frame))
        parse_ns = clock.monotonic_ns() - began_ns
        if frame.via is Via.STREAM:
            if data:
                yield frame.at_ns, Framed(venue, data, frame.at_ns, parse_ns, len(frame.text))
        else:
            yield from ((frame.at_ns, datum) for datum in data if isinstance(datum, DepthImage))


def _opening(reader: Reader) -> Iterator[FeedMessage]:
    venue = reader.dialect.venue
    instruments = tuple(reader.registry)
    yield Listed(venue, instruments)
    yield LineOpened(venue)
    yield from (BookOpened(venue, one.symbol) for one in instruments)


class Pace:
    """How long to wait so that recorded time passes `speed` times as fast as ours; at speed 0 there is no waiting."""

    def __init__(self, speed: float, clock: Clock) -> None:
        self._speed, self._clock = speed, clock
        self._first_at_ns: int | None = None
        self._began_ns = 0

    def wait_s(self, at_ns: int) -> float:
        """Give the seconds until what was received then is due; not above zero where it is."""
        if not self._speed:
            return 0.0
        if self._first_at_ns is None:
            self._first_at_ns, self._began_ns = at_ns, self._clock.monotonic_ns()
        passed_ns = self._clock.monotonic_ns() - self._began_ns
        return ((at_ns - self._first_at_ns) / self._speed - passed_ns) / NS_PER_S


def paced(played: Iterable[Played], pace: Pace) -> Iterator[Played]:
    """Hold each word back until it is due, in the calling thread."""
    never = Event()
    for at_ns, said in played:
        wait_s = pace.wait_s(at_ns)
        if wait_s > 0:
            never.wait(wait_s)
        yield at_ns, said


class RecordedClock:
    """Recorded time, as far as it was played: a book of years ago is not old while it is played, and is behind it."""

    def __init__(self, clock: Clock) -> None:
        """Take the clock that goes on between two words, and behind the last."""
        self._clock = clock
        self._at_ns = self._heard_ns = 0

    def pass_to(self, at_ns: int) -> None:
        """Hear that a word was received then."""
        self._at_ns, self._heard_ns = at_ns, self._clock.monotonic_ns()

    def now_ns(self) -> int:
        """Give the time since the last word was received; until the first, the time it is."""
        return self._at_ns + self._clock.monotonic_ns() - self._heard_ns if self._at_ns else self._clock.now_ns()

    def monotonic_ns(self) -> int:
        """Read a clock that never jumps."""
        return self._clock.monotonic_ns()


class RecordedFeed:
    """A recording in the place of a venue: a feed, and the caller that answers requests out of the same recording."""

    def __init__(
        self,
        frames: Iterable[Frame],
        reader: Reader,
        speed: float,
        clock: Clock,
        on_time: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Play at this speed; `on_time` hears when each word was received, before it is said."""
        self._frames, self._reader, self._clock, self._on_time = frames, reader, clock, on_time
        self._pace = Pace(speed, clock)
        self._answers = Answers()
        self._asking: dict[FetchImage, asyncio.Future[DepthImage | NoImage]] = {}
        self._is_over = False

    async def open(self) -> None:
        """Need nothing."""

    async def close(self) -> None:
        """Leave nobody waiting."""
        self._end()

    async def run(self, deliver: Callable[[Any], None]) -> None:
        """Deliver all of it, then only wait to be stopped."""
        for at_ns, said in play(self._frames, self._reader, self._clock):
            # Also without a pause the loop gets its turn after each word, for the requests that it caused.
            await asyncio.sleep(max(self._pace.wait_s(at_ns), 0.0))
            self._on_time(at_ns)
            if isinstance(said, DepthImage):
                self._answer(said)
            else:
                deliver(said)
        self._end()
        deliver(LineClosed(self._reader.dialect.venue, "the recording is over", final=True))
        await asyncio.get_running_loop().create_future()

    async def call(self, request: Any) -> DepthImage | NoImage | Resubscribed:  # noqa: ANN401 -- as the seam has it
        """Answer with the image that the recording holds next."""
        if isinstance(request, Resubscribe):
            return Resubscribed()
        if not isinstance(request, FetchImage):
            raise InvariantError(f"a recording answers no {type(request).__name__}")
        image = self._answers.ask(request)
        if image is not None or self._is_over:
            return image or NoImage("the recording is over", 0.0)
        self._give_up([asked for asked in self._asking if asked.symbol == request.symbol], "asked for once more")
        self._asking[request] = asyncio.get_running_loop().create_future()
        return await self._asking[request]

    def _answer(self, image: DepthImage) -> None:
        request = self._answers.came(image)
        if request is not None:
            self._settle(request, image)

    def _end(self) -> None:
        self._is_over = True
        self._give_up(list(self._asking), "the recording is over")

    def _give_up(self, requests: Iterable[FetchImage], reason: str) -> None:
        for request in requests:
            self._settle(request, NoImage(reason, 0.0))

    def _settle(self, request: FetchImage, answer: DepthImage | NoImage) -> None:
        future = self._asking.pop(request)
        if not future.done():
            future.set_result(answer)
