"""Keeps one line of a venue alive: connects again, hands over to a newer connection, tells which books come."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from components.contracts.values import Symbol
from components.market_data.core.feed import BookClosed, BookOpened, Framed, Odd, Oddity
from components.market_data.venues.counts import Ending
from components.market_data.venues.dialect import Channel, LinePlan, Topic
from components.market_data.venues.equipment import Equipment, Lined
from components.market_data.venues.handover import Handover
from components.market_data.venues.line import Line
from components.market_data.venues.opening import Ended
from components.market_data.venues.pacing import NS_PER_MS, Gate
from components.market_data.venues.patience import Patience
from components.market_data.venues.subscriptions import Refusal
from components.runtime.retry import Backoff

HANDOVER_MS_MAX: Final = 1_000
"""A book that stands still on both connections is joined after this: no change is under way for so long."""
LOOK_S: Final = 0.02

Life: TypeAlias = "asyncio.Task[Ended]"


class Desk(Protocol):
    """Whoever hears how the lines are."""

    def on_line(self, plan: LinePlan, ended: Ended | None) -> None:
        """Hear that a line is subscribed, or how it ended."""


class Keeper:
    """One line of a venue's plan, over all its connections."""

    def __init__(self, plan: LinePlan, equipment: Equipment, gate: Gate, desk: Desk) -> None:
        self.plan = plan
        self._equipment, self._gate, self._desk = equipment, gate, desk
        self._delivery, self._venue = equipment.delivery, equipment.dialect.venue
        config = equipment.config
        self._patience = Patience(
            first_ms=config.first_data_ms_max,
            mute_ms=config.mute_ms_max,
            longest_ms=config.patience_ms_max,
            healthy_ms=config.healthy_ms,
        )
        self._backoff = Backoff(first_ms_max=config.retry_ms_first, delay_ms_max=config.retry_ms_max)
        self._failures = 0
        self._current: Line | None = None
        self._next: Line | None = None
        self._handover = Handover()
        self._wish = asyncio.Event()
        self._wished, self._must_leave = "", False
        self._refused: set[str] = set()
        self._open: dict[Symbol, Topic] = {}
        """The books that come."""
        self._told: dict[Symbol, str] = {}

    @property
    def books(self) -> tuple[Symbol, ...]:
        """Give the books that come."""
        return tuple(self._open)

    async def keep(self) -> None:
        """Listen for ever; come back only where trying again cannot help."""
        while True:
            await self._gate.wait()
            self._current = self._prepare()
            ended = await self._live(self._current)
            if ended.is_final:
                return
            await asyncio.sleep(self._delay_ms() / 1_000)

    async def resubscribe(self, symbol: Symbol) -> bool:
        """Ask for a book anew; False where it does not come here."""
        topic, line = self._open.get(symbol), self._current
        return topic is not None and line is not None and await line.resubscribe(topic.name)

    def first_data_ms(self, name: str) -> int:
        """Say how long the first data of a topic may take."""
        return self._patience.first_data_ms(name)

    def on_frame(self, line: Lined, framed: Framed) -> None:
        """Hand a frame on, or hold it until the line that brought it is the one that counts."""
        if line is self._current:
            if self._next is not None:
                self._handover.note(framed)
            self._delivery.take(framed)
        elif line is self._next:
            self._handover.hold(framed)

    def on_confirmed(self, line: Lined, topics: Sequence[Topic]) -> None:
        """Tell of the books that come now."""
        if line is self._current:
            self._opened(topics)

    def on_refused(self, line: Lined, refusal: Refusal) -> None:
        """Tell of a book that the venue refuses; what else it refuses is only odd."""
        topic, reason = refusal.topic, f"{refusal.topic.symbol}: {refusal.reason}"
        if refusal.is_permanent:
            self._refused.add(topic.name)
        if topic.channel is not Channel.DEPTH:
            odd = Odd(Oddity.UNLISTED, reason)
            self._delivery.take(Framed(self._venue, (odd,), self._equipment.clock.now_ns(), 0, 0))
        elif refusal.is_permanent or line is self._current:
            self._close(topic.symbol, reason, is_final=refusal.is_permanent)

    def on_settled(self, line: Lined) -> None:
        """Hear that a line is as it should be."""
        self._gate.opened()
        if line is self._current:
            self._desk.on_line(self.plan, None)
        elif self._next is not None and line is self._next:
            books = [topic.symbol for topic in self._next.subscriptions.confirmed_books]
            self._handover.settled(books, self._equipment.clock.monotonic_ns())

    def on_heard(self, line: Lined, topic: Topic) -> None:
        """Hear that a quiet book speaks."""
        if line in {self._current, self._next}:
            self._patience.heard(topic.name)

    def on_unheard(self, line: Lined, topic: Topic) -> None:
        """Try another connection for a book that does not come; those that do must not suffer."""
        self._patience.unheard(topic.name)
        reason = f"{topic.symbol} was confirmed twice, and nothing came"
        if self._current is not None and line is self._current:
            if self._current.begun_at_ns:
                self._replace(reason, must_leave=False)
            else:
                self._current.end(Ended(Ending.MUTE, reason))

    def on_leaving(self, line: Lined, reason: str) -> None:
        """Make a new connection while this one lives."""
        if line in {self._current, self._next}:
            self._replace(reason, must_leave=True)

    def _replace(self, reason: str, *, must_leave: bool) -> None:
        self._wished, self._must_leave = reason, must_leave
        self._wish.set()

    def _prepare(self) -> Line:
        topics = tuple(topic for topic in self.plan.topics if topic.name not in self._refused)
        plan = LinePlan(self.plan.name, self.plan.url, topics)
        return Line(plan, self._equipment, self, self._patience.mute_ms_max)

    async def _live(self, line: Line) -> Ended:
        """Follow a connection, and each that takes its place, to the end of the last."""
        self._wish.clear()
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self._run(line))
            wish = group.create_task(self._wish.wait())
            while not life.done():
                await asyncio.wait([life, wish], return_when=asyncio.FIRST_COMPLETED)
                if wish.done() and not life.done():
                    self._wish.clear()
                    wish = group.create_task(self._wish.wait())
                    life = await self._hand_over(group, life)
            wish.cancel()
        return life.result()

    async def _run(self, line: Line) -> Ended:
        ended = await line.live()
        self._equipment.counts.dropped(ended.ending)
        if not line.is_settled:
            self._gate.failed(ended.wait_ms)
        if self._patience.flowed(line.flowed_ms, line.gap_ns_max / NS_PER_MS):
            self._failures = 0
        if ended.ending is not Ending.REPLACED:
            self._failures += 1
        if ended.ending is Ending.MUTE:
            self._patience.muted()
        self._lost(line, ended)
        return ended

    def _lost(self, line: Line, ended: Ended) -> None:
        if line is self._next:
            self._next = None
        if line is not self._current:
            return
        self._current = None
        for symbol in self._books() if ended.is_final else list(self._open):
            self._close(
                symbol, f"{symbol}: {ended.reason}" if ended.is_final else ended.reason, is_final=ended.is_final
            )
        self._desk.on_line(self.plan, ended)

    async def _hand_over(self, group: asyncio.TaskGroup, life: Life) -> Life:
        """Make a newer connection and go over to it as soon as it goes on where this one is."""
        while True:
            await self._gate.wait()
            self._handover, line = Handover(), self._prepare()
            self._next = line
            newer = group.create_task(self._run(line))
            while not newer.done():
                if self._current is None or self._is_joined():
                    self._switch(line)
                    return newer
                await asyncio.wait([newer, life], timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            # For a quiet book one try is enough: where a second connection is not wanted, it would be tried for ever.
            if self._current is None or newer.result().is_final or not self._must_leave:
                return life
            await asyncio.sleep(self._delay_ms() / 1_000)

    def _is_joined(self) -> bool:
        return self._handover.is_ready(self._equipment.clock.monotonic_ns(), HANDOVER_MS_MAX)

    def _switch(self, line: Line) -> None:
        old, self._current, self._next = self._current, line, None
        books = line.subscriptions.confirmed_books
        for symbol in self._open.keys() - {topic.symbol for topic in books}:
            self._close(symbol, f"not confirmed on the new connection: {self._wished}")
        self._opened(books)
        for framed in self._handover.release(is_joined=old is not None):
            self._delivery.take(framed)
        if old is not None:
            old.end(Ended(Ending.REPLACED, self._wished))
        elif line.is_settled:
            self._desk.on_line(self.plan, None)

    def _opened(self, topics: Sequence[Topic]) -> None:
        for topic in topics:
            if topic.channel is Channel.DEPTH and topic.symbol not in self._open:
                self._open[topic.symbol] = topic
                self._told.pop(topic.symbol, None)
                self._delivery.tell(BookOpened(self._venue, topic.symbol))

    def _close(self, symbol: Symbol, reason: str, *, is_final: bool = False) -> None:
        was_open = self._open.pop(symbol, None) is not None
        if was_open or self._told.get(symbol) != reason:
            self._told[symbol] = reason
            self._delivery.tell(BookClosed(self._venue, symbol, reason, is_final))

    def _books(self) -> list[Symbol]:
        listened = (topic for topic in self.plan.topics if topic.name not in self._refused)
        return [topic.symbol for topic in listened if topic.channel is Channel.DEPTH]

    def _delay_ms(self) -> float:
        return self._backoff.delay_ms(self._failures, self._equipment.chance())
