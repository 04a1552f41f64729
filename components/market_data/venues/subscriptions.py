"""What was asked for on one connection, and what became of it; times are arguments, nothing is sent from here."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.venues.dialect import Channel, Confirmed, Refused, Topic, Unsubscribed
from components.runtime.retry import Backoff

NS_PER_MS: Final = 1_000_000


class Refusal(Struct, frozen=True, gc=False):
    """A topic that the venue refuses, now or for good."""

    topic: Topic
    reason: str
    is_permanent: bool


class _Request(Struct, gc=False):
    names: set[str]
    until_ns: int


class Waits(Struct, frozen=True):
    """How long each thing may take."""

    answer_ms: int
    refused: Backoff
    """Between a passing refusal and the next try."""


class Subscriptions:
    """The topics of one connection."""

    def __init__(self, topics: Sequence[Topic], waits: Waits, first_data_ms: Callable[[str], int]) -> None:
        """Ask for all of them; `first_data_ms` says how long a topic's first data may take."""
        self.topics = {topic.name: topic for topic in topics}
        """What is left to listen to: what is refused for good is taken out."""
        self._waits, self._first_data_ms = waits, first_data_ms
        self._to_ask: dict[str, None] = dict.fromkeys(self.topics)
        self._company: dict[str, int] = {}
        """With how many others a topic may be asked for, after a request was refused as a whole."""
        self._to_leave: dict[str, None] = {}
        self._asked: dict[int, _Request] = {}
        self._left: dict[int, tuple[str, ...]] = {}
        self._confirmed: set[str] = set()
        self._refused_until_ns: dict[str, int] = {}
        self._refusals: dict[str, int] = {}
        self._due_ns: dict[str, int] = {}
        self._repeated: set[str] = set()
        self.awaited: set[Symbol] = set()
        """Books of which nothing was heard since they were asked for."""

    @property
    def is_settled(self) -> bool:
        """Say whether every topic was answered, one way or the other."""
        return not self._to_ask and not self._asked

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is left to listen to."""
        return not self.topics

    @property
    def has_confirmed(self) -> bool:
        """Say whether the venue confirmed anything."""
        return bool(self._confirmed)

    @property
    def confirmed_books(self) -> list[Topic]:
        """Give the books that the venue confirmed."""
        confirmed = (topic for name, topic in self.topics.items() if name in self._confirmed)
        return [topic for topic in confirmed if topic.channel is Channel.DEPTH]

    def next_asked(self, size: int) -> list[str]:
        """Give the topics of the next subscription; those that were refused together go in smaller ones."""
        names: list[str] = []
        for name in self._to_ask:
            size = min(size, self._company.get(name, size))
            if len(names) >= size:
                break
            names.append(name)
        return names

    def next_left(self, size: int) -> list[str]:
        """Give the topics of the next request to end some."""
        return list(self._to_leave)[:size]

    def left(self, names: Iterable[str], request_id: int) -> None:
        """Note that these were asked to end."""
        self._left[request_id] = tuple(names)
        for name in names:
            self._to_leave.pop(name, None)

    def ended(self, said: Unsubscribed) -> tuple[str, ...]:
        """Name the topics that ended."""
        asked = self._left.pop(said.request_id, ()) if said.request_id is not None else ()
        return said.names or asked

    def asked(self, names: Iterable[str], request_id: int, now_ns: int) -> None:
        """Note that these were asked for."""
        kept = {name for name in names if name in self.topics}
        for name in kept:
            self._to_ask.pop(name, None)
            topic = self.topics[name]
            if topic.channel is Channel.DEPTH:
                self.awaited.add(topic.symbol)
        self._asked[request_id] = _Request(kept, now_ns + self._waits.answer_ms * NS_PER_MS)

    def leave(self, name: str) -> None:
        """Want a topic ended, to ask for it anew."""
        self._confirmed.discard(name)
        self._due_ns.pop(name, None)
        self._to_leave[name] = None

    def ask_again(self, name: str) -> None:
        """Want a topic anew."""
        if name in self.topics:
            self._to_ask[name] = None

    def confirm(self, said: Confirmed, now_ns: int) -> list[Topic]:
        """Hear a confirmation; give the topics that are new by it."""
        request = self._asked.get(said.request_id) if said.request_id is not None else None
        names = said.names or (tuple(request.names) if request is not None else ())
        return self._confirm(names, now_ns)

    def heard(self, symbol: Symbol, now_ns: int) -> tuple[list[Topic], list[Topic]]:
        """Hear a book's first data, which may come before the confirmation; give its topics, then those new by it."""
        self.awaited.discard(symbol)
        heard = [topic for topic in self.topics.values() if topic.channel is Channel.DEPTH and topic.symbol == symbol]
        new = self._confirm([topic.name for topic in heard], now_ns)
        for topic in heard:
            self._due_ns.pop(topic.name, None)
            self._repeated.discard(topic.name)
        return heard, new

    def refuse(self, said: Refused, now_ns: int) -> list[Refusal]:
        """Hear a refusal; where nobody says which topic of many is meant, they are asked for in smaller requests."""
        request = self._asked.get(said.request_id) if said.request_id is not None else None
        whole = set(request.names) if request is not None else set()
        names = set(said.names) & self.topics.keys() if said.names else whole
        if said.is_permanent and len(names) > 1 and names == whole:
            self._split(names)
            return []
        return [self._refuse(name, said.reason, now_ns, is_permanent=said.is_permanent) for name in sorted(names)]

    def pass_time(self, now_ns: int) -> list[Refusal]:
        """Ask again what was refused for a while; give the topics that were never answered."""
        for name in [name for name, at_ns in self._refused_until_ns.items() if at_ns <= now_ns]:
            del self._refused_until_ns[name]
            self.ask_again(name)
        late = [number for number, request in self._asked.items() if request.until_ns <= now_ns]
        unanswered = [name for number in late for name in self._asked.pop(number).names]
        return [self._refuse(name, "the venue did not confirm it in time", now_ns) for name in sorted(unanswered)]

    def unheard(self, now_ns: int) -> list[tuple[Topic, bool]]:
        """Give the books whose first data is overdue, each with whether it was asked for twice already."""
        late = [name for name, at_ns in self._due_ns.items() if at_ns <= now_ns]
        overdue = []
        for name in late:
            del self._due_ns[name]
            overdue.append((self.topics[name], name in self._repeated))
            self._repeated.add(name)
        return overdue

    def _confirm(self, names: Iterable[str], now_ns: int) -> list[Topic]:
        new = [name for name in names if name in self.topics and name not in self._confirmed]
        for name in new:
            self._confirmed.add(name)
            self._answered(name)
            self._company.pop(name, None)
            self._refusals.pop(name, None)
            topic = self.topics[name]
            if topic.channel is Channel.DEPTH and topic.symbol in self.awaited:
                self._due_ns[name] = now_ns + self._first_data_ms(name) * NS_PER_MS
        return [self.topics[name] for name in new]

    def _answered(self, name: str) -> None:
        self._to_ask.pop(name, None)
        self._refused_until_ns.pop(name, None)
        for number in [number for number, request in self._asked.items() if name in request.names]:
            request = self._asked[number]
            request.names.discard(name)
            if not request.names:
                del self._asked[number]

    def _split(self, names: set[str]) -> None:
        for name in sorted(names):
            self._answered(name)
            self._company[name] = (len(names) + 1) // 2
            self._to_ask[name] = None

    def _refuse(self, name: str, reason: str, now_ns: int, *, is_permanent: bool = False) -> Refusal:
        self._answered(name)
        topic = self.topics[name]
        if topic.channel is Channel.DEPTH:
            self.awaited.discard(topic.symbol)
        self._confirmed.discard(name)
        if is_permanent:
            del self.topics[name]
        else:
            failures = self._refusals[name] = self._refusals.get(name, 0) + 1
            # The whole wait each time: what a venue refuses needs time, not luck.
            self._refused_until_ns[name] = now_ns + int(self._waits.refused.delay_ms(failures, 1.0) * NS_PER_MS)
        return Refusal(topic, reason, is_permanent)
