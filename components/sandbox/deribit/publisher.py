"""Publishes the channels of the simulated Deribit to their subscribers as the order flow advances."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from components.sandbox.deribit.book_channels import (
    PERIOD_MS,
    BookChannelState,
    BookPush,
    Channel,
    LevelRow,
    Topic,
)
from components.sandbox.deribit.instruments import CURRENCIES, KIND_NAMES, matches
from components.sandbox.deribit.messages import (
    book_document,
    encode_notification,
    quote_document,
    ticker_document,
    trade_document,
)
from components.sandbox.numerics import MILLISECOND_NS, SECOND_NS
from components.sandbox.simulation.order_flow import OrderFlow, SimTrade
from components.sandbox.transport.faults import CryptoFaultKind
from components.sandbox.transport.rate_limits import TokenBucket
from components.sandbox.transport.websocket import ClientConnection

BOOK_TOPICS = frozenset({Topic.BOOK, Topic.TICKER, Topic.QUOTE})
# The names of the channels in the fault switches.
FAULT_TOPICS = {Topic.BOOK: "book", Topic.TICKER: "quote", Topic.QUOTE: "quote", Topic.TRADES: "trade"}
StateKey = tuple[str, str]


@dataclass(slots=True)
class Heartbeat:
    """The heartbeat that a client requested: a test request in each interval.

    The client must answer one before the next is due.
    """

    interval_ns: int
    due_ns: int
    is_awaiting_reply: bool = False

    def tick(self, now_ns: int) -> bool | None:
        """Return True where a heartbeat is due, False where the last one was not answered, None otherwise."""
        if now_ns < self.due_ns:
            return None
        self.due_ns = now_ns + self.interval_ns
        was_unanswered, self.is_awaiting_reply = self.is_awaiting_reply, True
        return not was_unanswered


class Client:
    """A connection with its login state, credits and heartbeat."""

    def __init__(self, connection: ClientConnection, now_ns: int, scale: float) -> None:
        self.connection = connection
        self._scale = scale
        self.is_logged_in = False
        self.heartbeat: Heartbeat | None = None
        self.subscription_credits = subscription_bucket(now_ns)
        self.call_credits = call_bucket(now_ns)

    def start_heartbeat(self, interval_s: float, now_ns: int) -> None:
        """Start the heartbeat; its interval is scaled like all of the venue's timers."""
        interval_ns = int(interval_s * self._scale * SECOND_NS)
        self.heartbeat = Heartbeat(interval_ns, now_ns + interval_ns)

    def on_heartbeat_reply(self) -> None:
        """Record that the client answered the test request."""
        if self.heartbeat is not None:
            self.heartbeat.is_awaiting_reply = False


class Publisher:
    """All channels that have subscribers."""

    def __init__(self, flow: OrderFlow, now_ns: Callable[[], int]) -> None:
        self._flow, self._now_ns = flow, now_ns
        self._instrument_indexes = {symbol: index for index, symbol in enumerate(flow.instruments)}
        self._subscribers: dict[Channel, list[Client]] = {}
        self._states: dict[StateKey, BookChannelState] = {}
        self._periods = dict.fromkeys(PERIOD_MS, 0)
        self._last_trade_ids = {
            (symbol, interval): flow.last_trade_id(symbol) for symbol in flow.instruments for interval in PERIOD_MS
        }

    def subscribed_channels(self) -> list[str]:
        """Return the subscribed channels, each as often as it is subscribed."""
        return sorted(channel.name for channel, clients in self._subscribers.items() for _ in clients)

    def exists(self, channel: Channel) -> bool:
        """Return whether such a channel exists here."""
        if channel.topic is Topic.PLATFORM or channel.instrument in self._flow.instruments:
            return True
        return channel.currency in CURRENCIES and channel.kind in {"any", *KIND_NAMES.values()}

    def is_subscribed(self, client: Client, channel: Channel) -> bool:
        """Return whether this client has subscribed this channel."""
        return client in self._subscribers.get(channel, ())

    def channels_of(self, client: Client) -> list[Channel]:
        """Return the channels of a client."""
        return [channel for channel, clients in self._subscribers.items() if client in clients]

    def subscribe(self, client: Client, channel: Channel) -> None:
        """Add a subscriber, and send it the initial message of the channel."""
        self._subscribers.setdefault(channel, []).append(client)
        if channel.topic not in BOOK_TOPICS:
            return
        state, now_ns = self._state(channel), self._now_ns()
        if channel.topic is Topic.BOOK:
            self._send_book([client], channel, state, state.snapshot(now_ns))
        else:
            self._send([client], channel, state.symbol, self._best_prices(channel, state, now_ns // MILLISECOND_NS))

    def unsubscribe(self, client: Client, channel: Channel) -> bool:
        """Remove a subscriber; return False where it was none."""
        if not self.is_subscribed(client, channel):
            return False
        self._subscribers[channel].remove(client)
        if not self._subscribers[channel]:
            del self._subscribers[channel]
            self._drop_unused_state((channel.instrument, channel.interval))
        return True

    def unsubscribe_all(self, client: Client) -> None:
        """Remove a client from all channels."""
        for channel in self.channels_of(client):
            self.unsubscribe(client, channel)

    def tick(self, now_ns: int) -> None:
        """Send what is due to all subscribers."""
        for state in list(self._states.values()):
            for push in state.next_pushes(now_ns):
                self._send_push(state, push)
        for interval, period_ms in PERIOD_MS.items():
            period = now_ns // (max(1, period_ms) * MILLISECOND_NS)
            if period != self._periods[interval]:
                self._periods[interval] = period
                self._send_trades(interval)

    def announce_maintenance(self) -> None:
        """Notify the subscribers of the platform state that the platform goes down."""
        channel = Channel(Topic.PLATFORM)
        for client in self._subscribers.get(channel, ()):
            client.connection.send(encode_notification(channel.name, {"maintenance": True}))

    def _state(self, channel: Channel) -> BookChannelState:
        key = (channel.instrument, channel.interval)
        if key not in self._states:
            self._states[key] = BookChannelState(channel.interval, channel.instrument, self._flow, self._now_ns())
        return self._states[key]

    def _drop_unused_state(self, key: StateKey) -> None:
        used = {(channel.instrument, channel.interval) for channel in self._subscribers if channel.topic in BOOK_TOPICS}
        if key not in used:
            self._states.pop(key, None)

    def _send_push(self, state: BookChannelState, push: BookPush) -> None:
        # The ticker of a change is sent before the book it comes from.
        for topic in (Topic.TICKER, Topic.QUOTE, Topic.BOOK):
            channel = Channel(topic, state.interval, instrument=state.symbol)
            clients = self._subscribers.get(channel, [])
            if not clients:
                continue
            if topic is Topic.BOOK:
                self._send_book(clients, channel, state, push)
            elif topic is Topic.TICKER or push.is_new_best:
                self._send(clients, channel, state.symbol, self._best_prices(channel, state, push.at_ms))

    def _best_prices(self, channel: Channel, state: BookChannelState, at_ms: int) -> dict[str, object]:
        if channel.topic is Topic.QUOTE:
            return quote_document(state.symbol, state, at_ms)
        last = self._flow.trades_after(state.symbol, self._flow.last_trade_id(state.symbol) - 1)
        return ticker_document(self._flow.instruments[state.symbol], state.book, last[0] if last else None, at_ms)

    def _send_book(self, clients: list[Client], channel: Channel, state: BookChannelState, push: BookPush) -> None:
        text = encode_notification(channel.name, book_document(state.symbol, push))
        for client in clients:
            corrupted = _corrupt(client, state, push, self._flow.instruments[state.symbol].tick)
            if corrupted is push:
                client.connection.send_data(text, state.symbol, "book")
            else:
                corrupted_text = encode_notification(channel.name, book_document(state.symbol, corrupted))
                client.connection.send_data(corrupted_text, state.symbol, "book")

    def _send_trades(self, interval: str) -> None:
        for symbol in self._flow.instruments:
            trades = self._flow.trades_after(symbol, self._last_trade_ids[symbol, interval])
            if trades:
                self._last_trade_ids[symbol, interval] = trades[-1].id
                for channel in self._trade_channels(symbol, interval):
                    self._send(self._subscribers[channel], channel, symbol, self._trade_documents(symbol, trades))

    def _trade_channels(self, symbol: str, interval: str) -> Iterator[Channel]:
        instrument = self._flow.instruments[symbol]
        for channel in self._subscribers:
            if channel.topic is not Topic.TRADES or channel.interval != interval:
                continue
            if channel.instrument == symbol or (channel.kind and matches(instrument, channel.currency, channel.kind)):
                yield channel

    def _trade_documents(self, symbol: str, trades: list[SimTrade]) -> list[dict[str, object]]:
        return [trade_document(self._flow.instruments[symbol], self._instrument_indexes[symbol], one) for one in trades]

    def _send(self, clients: list[Client], channel: Channel, symbol: str, data: object) -> None:
        text = encode_notification(channel.name, data)
        for client in clients:
            client.connection.send_data(text, symbol, FAULT_TOPICS[channel.topic])


def _corrupt(client: Client, state: BookChannelState, push: BookPush, tick: Decimal) -> BookPush:
    """Falsify a push for one client, where such a fault is armed."""
    injector = client.connection.fault_injector
    # A snapshot under a wrong id could not be detected, so only changes are shifted, by so much that they count as old.
    if push.prev_change_id is not None and (fault := injector.should_corrupt(CryptoFaultKind.IDS_BACK, state.symbol)):
        step = max(fault.count, push.change_id - push.prev_change_id)
        push = push._replace(prev_change_id=push.prev_change_id - step, change_id=push.change_id - step)
    if state.book.asks.prices and injector.should_corrupt(CryptoFaultKind.CROSSED, state.symbol):
        best = state.book.asks.prices[0]
        bid = LevelRow("new", best + tick, state.book.asks.quantities[best])
        push = push._replace(bids=[bid, *push.bids])
    return push


def subscription_bucket(now_ns: int) -> TokenBucket:
    """Return the bucket of subscribe calls: a burst of ten, then a little over three per second."""
    return TokenBucket(capacity=30_000, refill_per_s=10_000, cost=3_000, at_ns=now_ns)


def call_bucket(now_ns: int) -> TokenBucket:
    """Return the bucket of all other calls: a burst of a hundred, then twenty per second."""
    return TokenBucket(capacity=50_000, refill_per_s=10_000, cost=500, at_ns=now_ns)
