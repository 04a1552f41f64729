"""State of the topics of one connection: requested, acknowledged, rejected, retried. No I/O; times are arguments."""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from components.contracts.values import Symbol
from components.market_data.venues.adapter import Channel, SubscribeAck, SubscribeRejected, Topic, UnsubscribeAck
from components.runtime.clock import NS_PER_MS
from components.runtime.retry import Backoff


class TopicRejection(Struct, frozen=True, gc=False):
    """A topic that the venue rejected, temporarily or permanently."""

    topic: Topic
    reason: str
    is_permanent: bool


class _PendingRequest(Struct, gc=False):
    names: set[str]
    deadline_ns: int


class SubscriptionTimeouts(Struct, frozen=True):
    """Timeouts and retry delays of subscriptions."""

    reply_timeout_ms: int
    retry_backoff: Backoff
    """Delay between a temporary rejection and the next attempt."""


class Subscriptions:
    """The topics of one connection."""

    def __init__(
        self, topics: Sequence[Topic], timeouts: SubscriptionTimeouts, first_data_timeout_ms: Callable[[str], int]
    ) -> None:
        """Start with all topics to be subscribed.

        `first_data_timeout_ms` returns how long a topic's first data may take.
        """
        self.topics = {topic.name: topic for topic in topics}
        """The wanted topics; a topic that is rejected permanently is removed."""
        self._timeouts, self._first_data_timeout_ms = timeouts, first_data_timeout_ms
        self._to_subscribe: dict[str, None] = dict.fromkeys(self.topics)
        self._batch_sizes: dict[str, int] = {}
        """The size of the request in which a topic may be retried, after a request was rejected as a whole."""
        self._to_unsubscribe: dict[str, None] = {}
        self._pending_subscribes: dict[int, _PendingRequest] = {}
        self._pending_unsubscribes: dict[int, tuple[str, ...]] = {}
        self._subscribed: set[str] = set()
        self._retry_at_ns: dict[str, int] = {}
        self._rejection_counts: dict[str, int] = {}
        self._first_data_due_ns: dict[str, int] = {}
        self._resubscribed: set[str] = set()
        self.awaiting_first_data: set[Symbol] = set()
        """Books without any data since they were subscribed."""

    @property
    def is_subscribed(self) -> bool:
        """Return whether every topic was acknowledged or rejected."""
        return not self._to_subscribe and not self._pending_subscribes

    @property
    def is_empty(self) -> bool:
        """Return whether no topic is left."""
        return not self.topics

    @property
    def has_subscribed(self) -> bool:
        """Return whether the venue acknowledged any topic."""
        return bool(self._subscribed)

    @property
    def subscribed_books(self) -> list[Topic]:
        """Return the books that the venue acknowledged."""
        confirmed = (topic for name, topic in self.topics.items() if name in self._subscribed)
        return [topic for topic in confirmed if topic.channel is Channel.DEPTH]

    def next_to_subscribe(self, size: int) -> list[str]:
        """Return the topics of the next subscribe request.

        Topics that were rejected together are retried in smaller requests.
        """
        names: list[str] = []
        for name in self._to_subscribe:
            size = min(size, self._batch_sizes.get(name, size))
            if len(names) >= size:
                break
            names.append(name)
        return names

    def next_to_unsubscribe(self, size: int) -> list[str]:
        """Return the topics of the next unsubscribe request."""
        return list(self._to_unsubscribe)[:size]

    def on_unsubscribe_sent(self, names: Iterable[str], request_id: int) -> None:
        """Record a sent unsubscribe request."""
        self._pending_unsubscribes[request_id] = tuple(names)
        for name in names:
            self._to_unsubscribe.pop(name, None)

    def on_unsubscribed(self, ack: UnsubscribeAck) -> tuple[str, ...]:
        """Return the topics that the acknowledgement covers."""
        requested = self._pending_unsubscribes.pop(ack.request_id, ()) if ack.request_id is not None else ()
        return ack.names or requested

    def on_subscribe_sent(self, names: Iterable[str], request_id: int, now_ns: int) -> None:
        """Record a sent subscribe request."""
        kept = {name for name in names if name in self.topics}
        for name in kept:
            self._to_subscribe.pop(name, None)
            topic = self.topics[name]
            if topic.channel is Channel.DEPTH:
                self.awaiting_first_data.add(topic.symbol)
        self._pending_subscribes[request_id] = _PendingRequest(
            kept, now_ns + self._timeouts.reply_timeout_ms * NS_PER_MS
        )

    def unsubscribe(self, name: str) -> None:
        """Schedule the unsubscription of a topic that will be subscribed again."""
        self._subscribed.discard(name)
        self._first_data_due_ns.pop(name, None)
        self._to_unsubscribe[name] = None

    def resubscribe(self, name: str) -> None:
        """Schedule the subscription of a topic."""
        if name in self.topics:
            self._to_subscribe[name] = None

    def on_subscribe_ack(self, ack: SubscribeAck, now_ns: int) -> list[Topic]:
        """Record an acknowledgement; return the topics that are newly subscribed."""
        request = self._pending_subscribes.get(ack.request_id) if ack.request_id is not None else None
        names = ack.names or (tuple(request.names) if request is not None else ())
        return self._mark_subscribed(names, now_ns)

    def on_first_data(self, symbol: Symbol, now_ns: int) -> tuple[list[Topic], list[Topic]]:
        """Record a book's first data, which may precede the acknowledgement.

        Return its topics, and those of them that are newly subscribed.
        """
        self.awaiting_first_data.discard(symbol)
        topics = [topic for topic in self.topics.values() if topic.channel is Channel.DEPTH and topic.symbol == symbol]
        new = self._mark_subscribed([topic.name for topic in topics], now_ns)
        for topic in topics:
            self._first_data_due_ns.pop(topic.name, None)
            self._resubscribed.discard(topic.name)
        return topics, new

    def on_rejected(self, rejection: SubscribeRejected, now_ns: int) -> list[TopicRejection]:
        """Record a rejection. If it names none of several topics, they are retried in smaller requests."""
        request = self._pending_subscribes.get(rejection.request_id) if rejection.request_id is not None else None
        whole = set(request.names) if request is not None else set()
        names = set(rejection.names) & self.topics.keys() if rejection.names else whole
        if rejection.is_permanent and len(names) > 1 and names == whole:
            self._retry_in_smaller_batches(names)
            return []
        return [
            self._reject(name, rejection.reason, now_ns, is_permanent=rejection.is_permanent) for name in sorted(names)
        ]

    def check_timeouts(self, now_ns: int) -> list[TopicRejection]:
        """Schedule retries of temporary rejections; return the topics that were not acknowledged in time."""
        for name in [name for name, at_ns in self._retry_at_ns.items() if at_ns <= now_ns]:
            del self._retry_at_ns[name]
            self.resubscribe(name)
        late = [number for number, request in self._pending_subscribes.items() if request.deadline_ns <= now_ns]
        unanswered = [name for number in late for name in self._pending_subscribes.pop(number).names]
        return [self._reject(name, "the venue did not acknowledge it in time", now_ns) for name in sorted(unanswered)]

    def overdue_first_data(self, now_ns: int) -> list[tuple[Topic, bool]]:
        """Return the books whose first data is overdue, each with whether it was resubscribed already."""
        late = [name for name, at_ns in self._first_data_due_ns.items() if at_ns <= now_ns]
        overdue = []
        for name in late:
            del self._first_data_due_ns[name]
            overdue.append((self.topics[name], name in self._resubscribed))
            self._resubscribed.add(name)
        return overdue

    def _mark_subscribed(self, names: Iterable[str], now_ns: int) -> list[Topic]:
        new = [name for name in names if name in self.topics and name not in self._subscribed]
        for name in new:
            self._subscribed.add(name)
            self._clear_pending(name)
            self._batch_sizes.pop(name, None)
            self._rejection_counts.pop(name, None)
            topic = self.topics[name]
            if topic.channel is Channel.DEPTH and topic.symbol in self.awaiting_first_data:
                self._first_data_due_ns[name] = now_ns + self._first_data_timeout_ms(name) * NS_PER_MS
        return [self.topics[name] for name in new]

    def _clear_pending(self, name: str) -> None:
        self._to_subscribe.pop(name, None)
        self._retry_at_ns.pop(name, None)
        for number in [number for number, request in self._pending_subscribes.items() if name in request.names]:
            request = self._pending_subscribes[number]
            request.names.discard(name)
            if not request.names:
                del self._pending_subscribes[number]

    def _retry_in_smaller_batches(self, names: set[str]) -> None:
        for name in sorted(names):
            self._clear_pending(name)
            self._batch_sizes[name] = (len(names) + 1) // 2
            self._to_subscribe[name] = None

    def _reject(self, name: str, reason: str, now_ns: int, *, is_permanent: bool = False) -> TopicRejection:
        self._clear_pending(name)
        topic = self.topics[name]
        if topic.channel is Channel.DEPTH:
            self.awaiting_first_data.discard(topic.symbol)
        self._subscribed.discard(name)
        if is_permanent:
            del self.topics[name]
        else:
            failures = self._rejection_counts[name] = self._rejection_counts.get(name, 0) + 1
            # No jitter: a rejection needs time to pass, and spreading retries has no use here.
            self._retry_at_ns[name] = now_ns + int(self._timeouts.retry_backoff.delay_ms(failures, 1.0) * NS_PER_MS)
        return TopicRejection(topic, reason, is_permanent)
