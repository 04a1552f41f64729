"""One connection to a venue, from the upgrade to its end: asks, reads, and notices when nothing comes."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Final, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import Data, Framed, Odd, Oddity
from components.market_data.venues.counts import Ending
from components.market_data.venues.dialect import (
    Confirmed,
    Control,
    Greeted,
    Leaving,
    LinePlan,
    Read,
    Refused,
    Say,
    Topic,
    Unsubscribed,
)
from components.market_data.venues.equipment import Ears, Equipment
from components.market_data.venues.opening import REASON_MAX, Ended, close, ended_by, open_connection
from components.market_data.venues.pacing import NS_PER_MS
from components.market_data.venues.speaking import Speaker
from components.market_data.venues.strange import STRANGE
from components.market_data.venues.subscriptions import Refusal, Subscriptions, Waits
from components.runtime.retry import Backoff

Begin: TypeAlias = Callable[[Coroutine[None, None, None]], None]

LOOK_S: Final = 0.05
"""Deadlines are looked at this often."""


class Line:
    """One connection, used once."""

    def __init__(self, plan: LinePlan, equipment: Equipment, ears: Ears, mute_ms_max: int) -> None:
        """Take where it goes and what it listens to; it may be mute for so long."""
        self.plan = plan
        self._equipment, self._ears, self._mute_ms_max = equipment, ears, mute_ms_max
        self._clock, self._counts, self._dialect = equipment.clock, equipment.counts, equipment.dialect
        config, limits = equipment.config, equipment.dialect.limits
        self._answer_ms = min(config.answer_ms_max, limits.answer_ms_max)
        self._silence_ms = min(config.silence_ms_max, limits.silence_ms_max)
        backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self.subscriptions = Subscriptions(plan.topics, Waits(self._answer_ms, backoff), ears.first_data_ms)
        self._over: asyncio.Future[Ended] = asyncio.get_running_loop().create_future()
        self._speaker: Speaker | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._answers: list[str] = []
        self._frame_at_ns = self._data_at_ns = self._pinged_at_ns = 0
        self._frames = self._bytes = 0
        self.is_settled = False
        """Whether every topic was answered, one way or the other."""
        self.begun_at_ns = 0
        """When the first data came; 0 until then."""
        self.gap_ns_max = 0
        """How long the line was without data at most, and went on."""

    @property
    def flowed_ms(self) -> float:
        """Say how long data came."""
        return (self._data_at_ns - self.begun_at_ns) / NS_PER_MS if self.begun_at_ns else 0

    async def live(self) -> Ended:
        """Connect, listen, and tell how it ended; what goes wrong is an answer."""
        now_ns = self._clock.now_ns()
        connection = await open_connection(self.plan.url, self._equipment.config, self._dialect, now_ns)
        if isinstance(connection, Ended):
            return connection
        ended = None
        try:
            ended = await self._listen(connection)
        finally:
            self._count()
            await close(connection, ended)
        return ended

    def end(self, ended: Ended) -> None:
        """End it; only the first reason counts."""
        if not self._over.done():
            self._over.set_result(ended)

    async def resubscribe(self, name: str) -> bool:
        """Ask for a topic anew; False where the connection is not there for it."""
        if self._speaker is None or self._over.done():
            return False
        await self._speaker.resubscribe(name)
        return not self._over.done()

    async def _listen(self, connection: ClientConnection) -> Ended:
        self._counts.connects.inc()
        self._frame_at_ns = self._data_at_ns = self._clock.monotonic_ns()
        speaker = Speaker(connection, self._equipment, self.subscriptions, self.end, self._answer_ms)
        self._speaker = speaker
        async with asyncio.TaskGroup() as group:
            begin = partial(self._begin, group)
            for part in (self._read(connection, speaker), speaker.speak(), self._watch(connection, speaker, begin)):
                begin(part)
            ended = await self._over
            for task in self._tasks:
                task.cancel()
        return ended

    def _begin(self, group: asyncio.TaskGroup, part: Coroutine[None, None, None]) -> None:
        task = group.create_task(part)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, connection: ClientConnection, speaker: Speaker) -> None:
        delivery, receive, take = self._equipment.delivery, connection.recv, self._take
        try:
            while True:
                take(await receive(decode=False), speaker)
                if self._answers:
                    answers, self._answers = self._answers, []
                    await speaker.say_at_once(answers)
                if delivery.is_pressed:
                    await delivery.pause()
        except ConnectionClosed as error:
            self._closed(ended_by(error))

    def _take(self, frame: bytes, speaker: Speaker) -> None:
        clock, equipment = self._clock, self._equipment
        received_at_ns = clock.now_ns()
        begun_ns = clock.monotonic_ns()
        read = self._read_frame(frame, received_at_ns)
        read_ns = clock.monotonic_ns()
        self._frame_at_ns = read_ns
        self._frames += 1
        self._bytes += len(frame)
        if equipment.tap is not None:
            equipment.tap.frame("ws", self.plan.url, frame, received_at_ns)
        if read.control:
            self._obey(read.control, speaker)
        if read.data:
            self._note(read.data, read_ns)
            parse_ns = read_ns - begun_ns
            framed = Framed(self._dialect.venue, tuple(read.data), received_at_ns, parse_ns, len(frame))
            self._ears.on_frame(self, framed)

    def _read_frame(self, frame: bytes, received_at_ns: int) -> Read:
        try:
            return self._dialect.read(frame, received_at_ns)
        except STRANGE as error:
            return Read(data=(Odd(Oddity.MALFORMED, f"unreadable: {type(error).__name__}: {error}"[:REASON_MAX]),))

    def _note(self, data: Sequence[Data], now_ns: int) -> None:
        awaited = self.subscriptions.awaited
        for datum in data:
            if isinstance(datum, Odd):
                self._counts.odd(datum.kind)
                continue
            self.gap_ns_max = max(self.gap_ns_max, now_ns - self._data_at_ns)
            self._data_at_ns = now_ns
            self.begun_at_ns = self.begun_at_ns or now_ns
            if awaited and datum.symbol in awaited and isinstance(datum, (DepthChange, DepthImage)):
                heard, new = self.subscriptions.heard(datum.symbol, now_ns)
                self._confirmed(new)
                for topic in heard:
                    self._ears.on_heard(self, topic)

    def _obey(self, control: Sequence[Control], speaker: Speaker) -> None:
        for said in control:
            match said:
                case Confirmed():
                    self._confirmed(self.subscriptions.confirm(said, self._clock.monotonic_ns()))
                case Unsubscribed():
                    speaker.ended(said)
                case Refused():
                    self._refused(said, speaker)
                case Say(text):
                    self._answers.append(text)
                case Greeted():
                    speaker.greeted()
                case Leaving(reason):
                    self._ears.on_leaving(self, f"the venue is leaving: {reason}"[:REASON_MAX])
                case _:
                    """A sign of life."""

    def _confirmed(self, topics: Sequence[Topic]) -> None:
        if topics:
            self._ears.on_confirmed(self, topics)
        self._settle()

    def _refused(self, said: Refused, speaker: Speaker) -> None:
        if not speaker.is_welcome and not said.names:
            self.end(Ended(Ending.NOT_GREETED, said.reason, said.is_permanent))
            return
        self._turn_down(self.subscriptions.refuse(said, self._clock.monotonic_ns()))
        speaker.look_again()

    def _turn_down(self, refusals: Sequence[Refusal]) -> None:
        for refusal in refusals:
            self._counts.refused(refusal.topic.channel, is_permanent=refusal.is_permanent)
            self._ears.on_refused(self, refusal)
        if refusals and self.subscriptions.is_empty:
            self.end(Ended(Ending.EMPTY, refusals[-1].reason, is_final=True))
        self._settle()

    def _settle(self) -> None:
        if not self.is_settled and self.subscriptions.is_settled:
            self.is_settled = True
            self._ears.on_settled(self)

    async def _watch(self, connection: ClientConnection, speaker: Speaker, begin: Begin) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            now_ns = self._clock.monotonic_ns()
            self._count()
            self._look_for_answers(now_ns)
            self._look_for_first_data(now_ns, speaker, begin)
            speaker.look_again()
            if now_ns - self._data_at_ns >= self._mute_ms_max * NS_PER_MS:
                self.end(Ended(Ending.MUTE, f"connected, but no data came for {self._mute_ms_max} ms"))
            if self._is_silent(now_ns):
                begin(self._ping(connection, speaker))

    def _look_for_answers(self, now_ns: int) -> None:
        refusals = self.subscriptions.pass_time(now_ns)
        if refusals and not self.subscriptions.has_confirmed:
            self.end(Ended(Ending.UNCONFIRMED, f"nothing was confirmed within {self._answer_ms} ms"))
        else:
            self._turn_down(refusals)

    def _look_for_first_data(self, now_ns: int, speaker: Speaker, begin: Begin) -> None:
        for topic, was_repeated in self.subscriptions.unheard(now_ns):
            if was_repeated:
                self._ears.on_unheard(self, topic)
            else:
                begin(speaker.resubscribe(topic.name))

    def _is_silent(self, now_ns: int) -> bool:
        """Say whether to ask if the venue is there; end where it was asked and did not answer."""
        if self._pinged_at_ns <= self._frame_at_ns:
            return now_ns - self._frame_at_ns >= self._silence_ms * NS_PER_MS
        if now_ns - self._pinged_at_ns >= self._answer_ms * NS_PER_MS:
            waited_ms = (now_ns - self._frame_at_ns) // NS_PER_MS
            self.end(Ended(Ending.SILENT, f"no frame for {waited_ms} ms, and no answer to a ping"))
        return False

    async def _ping(self, connection: ClientConnection, speaker: Speaker) -> None:
        self._pinged_at_ns = self._clock.monotonic_ns()
        text = self._dialect.ping()
        if text is not None:
            await speaker.say_at_once([text])
            return
        try:
            await (await connection.ping())
        except ConnectionClosed as error:
            self._closed(ended_by(error))
        else:
            self._frame_at_ns = self._clock.monotonic_ns()

    def _closed(self, ended: Ended) -> None:
        if ended.ending is Ending.TOO_LARGE and not self._over.done():
            self._counts.odd(Oddity.TOO_LARGE)
            odd = Odd(Oddity.TOO_LARGE, ended.reason)
            self._ears.on_frame(self, Framed(self._dialect.venue, (odd,), self._clock.now_ns(), 0, 0))
        self.end(ended)

    def _count(self) -> None:
        self._counts.frames.inc(self._frames)
        self._counts.bytes.inc(self._bytes)
        self._frames = self._bytes = 0
