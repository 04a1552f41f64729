"""Who listens to which Deribit channel, and what each of them is told as the order flow moves."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from components.sandbox.deribit.channels import PERIOD_MS, Channel, Topic
from components.sandbox.deribit.clients import Client
from components.sandbox.deribit.documents import book_change, quote, ticker, trade
from components.sandbox.deribit.instruments import CURRENCIES, KINDS, is_asked_for
from components.sandbox.deribit.lanes import MILLISECOND_NS, Lane, Moment, Row
from components.sandbox.deribit.rpc import notification
from components.sandbox.flow.faults import FlowFaultKind
from components.sandbox.flow.orders import OrderFlow, Print

LANED = frozenset({Topic.BOOK, Topic.TICKER, Topic.QUOTE})
# What a channel is called in the fault switches.
FAULT_TOPICS = {Topic.BOOK: "book", Topic.TICKER: "quote", Topic.QUOTE: "quote", Topic.TRADES: "trade"}
LaneKey = tuple[str, str]


class Board:
    """All channels that somebody hears."""

    def __init__(self, flow: OrderFlow, now_ns: Callable[[], int]) -> None:
        self._flow, self._now_ns = flow, now_ns
        self._places = {symbol: place for place, symbol in enumerate(flow.listings)}
        self._listeners: dict[Channel, list[Client]] = {}
        self._lanes: dict[LaneKey, Lane] = {}
        self._beats = dict.fromkeys(PERIOD_MS, 0)
        self._told = {
            (symbol, interval): flow.prints_count(symbol) for symbol in flow.listings for interval in PERIOD_MS
        }

    def heard(self) -> list[str]:
        """Name what is heard, as often as it is."""
        return sorted(channel.name for channel, clients in self._listeners.items() for _ in clients)

    def exists(self, channel: Channel) -> bool:
        """Tell whether there is such a channel here."""
        if channel.topic is Topic.PLATFORM or channel.instrument in self._flow.listings:
            return True
        return channel.currency in CURRENCIES and channel.kind in {"any", *KINDS.values()}

    def listens(self, client: Client, channel: Channel) -> bool:
        """Tell whether this client hears this channel already."""
        return client in self._listeners.get(channel, ())

    def channels_of(self, client: Client) -> list[Channel]:
        """List what a client hears."""
        return [channel for channel, clients in self._listeners.items() if client in clients]

    def add(self, client: Client, channel: Channel) -> None:
        """Add a listener, and tell it what such a channel begins with."""
        self._listeners.setdefault(channel, []).append(client)
        if channel.topic not in LANED:
            return
        lane, now_ns = self._lane(channel), self._now_ns()
        if channel.topic is Topic.BOOK:
            self._tell_book([client], channel, lane, lane.snapshot(now_ns))
        else:
            self._tell([client], channel, lane.symbol, self._best(channel, lane, now_ns // MILLISECOND_NS))

    def remove(self, client: Client, channel: Channel) -> bool:
        """Let a client hear a channel no longer; false where it did not."""
        if not self.listens(client, channel):
            return False
        self._listeners[channel].remove(client)
        if not self._listeners[channel]:
            del self._listeners[channel]
            self._forget_lane((channel.instrument, channel.interval))
        return True

    def leave(self, client: Client) -> None:
        """Forget a client."""
        for channel in self.channels_of(client):
            self.remove(client, channel)

    def beat(self, now_ns: int) -> None:
        """Tell everybody what is due."""
        for lane in list(self._lanes.values()):
            for moment in lane.moments(now_ns):
                self._tell_moment(lane, moment)
        for interval, period_ms in PERIOD_MS.items():
            beat = now_ns // (max(1, period_ms) * MILLISECOND_NS)
            if beat != self._beats[interval]:
                self._beats[interval] = beat
                self._tell_trades(interval)

    def announce_maintenance(self) -> None:
        """Tell whoever listens to the platform that it goes down."""
        channel = Channel(Topic.PLATFORM)
        for client in self._listeners.get(channel, ()):
            client.connection.say(notification(channel.name, {"maintenance": True}))

    def _lane(self, channel: Channel) -> Lane:
        key = (channel.instrument, channel.interval)
        if key not in self._lanes:
            self._lanes[key] = Lane(channel.interval, channel.instrument, self._flow, self._now_ns())
        return self._lanes[key]

    def _forget_lane(self, key: LaneKey) -> None:
        heard = {(channel.instrument, channel.interval) for channel in self._listeners if channel.topic in LANED}
        if key not in heard:
            self._lanes.pop(key, None)

    def _tell_moment(self, lane: Lane, moment: Moment) -> None:
        # The ticker of a change is told before the book it comes from.
        for topic in (Topic.TICKER, Topic.QUOTE, Topic.BOOK):
            channel = Channel(topic, lane.interval, instrument=lane.symbol)
            clients = self._listeners.get(channel, [])
            if not clients:
                continue
            if topic is Topic.BOOK:
                self._tell_book(clients, channel, lane, moment)
            elif topic is Topic.TICKER or moment.is_new_best:
                self._tell(clients, channel, lane.symbol, self._best(channel, lane, moment.at_ms))

    def _best(self, channel: Channel, lane: Lane, at_ms: int) -> dict[str, object]:
        if channel.topic is Topic.QUOTE:
            return quote(lane.symbol, lane, at_ms)
        last = self._flow.prints_after(lane.symbol, self._flow.prints_count(lane.symbol) - 1)
        return ticker(self._flow.listings[lane.symbol], lane.book, last[0] if last else None, at_ms)

    def _tell_book(self, clients: list[Client], channel: Channel, lane: Lane, moment: Moment) -> None:
        text = notification(channel.name, book_change(lane.symbol, moment))
        for client in clients:
            twisted = _twisted(client, lane, moment, self._flow.listings[lane.symbol].tick)
            if twisted is moment:
                client.connection.tell(text, lane.symbol, "book")
            else:
                wrong = notification(channel.name, book_change(lane.symbol, twisted))
                client.connection.tell(wrong, lane.symbol, "book")

    def _tell_trades(self, interval: str) -> None:
        for symbol in self._flow.listings:
            prints = self._flow.prints_after(symbol, self._told[symbol, interval])
            if prints:
                self._told[symbol, interval] = prints[-1].id
                for channel in self._trade_channels(symbol, interval):
                    self._tell(self._listeners[channel], channel, symbol, self._trades(symbol, prints))

    def _trade_channels(self, symbol: str, interval: str) -> Iterator[Channel]:
        listing = self._flow.listings[symbol]
        for channel in self._listeners:
            if channel.topic is not Topic.TRADES or channel.interval != interval:
                continue
            if channel.instrument == symbol or (channel.kind and is_asked_for(listing, channel.currency, channel.kind)):
                yield channel

    def _trades(self, symbol: str, prints: list[Print]) -> list[dict[str, object]]:
        return [trade(self._flow.listings[symbol], self._places[symbol], one) for one in prints]

    def _tell(self, clients: list[Client], channel: Channel, symbol: str, data: object) -> None:
        text = notification(channel.name, data)
        for client in clients:
            client.connection.tell(text, symbol, FAULT_TOPICS[channel.topic])


def _twisted(client: Client, lane: Lane, moment: Moment, tick: Decimal) -> Moment:
    """Make a push wrong for one client, where that is armed."""
    script = client.connection.script
    # Of an image under another's id nobody could ever know; changes go back by so much that they are old.
    if moment.previous is not None and (fault := script.twist(FlowFaultKind.IDS_BACK, lane.symbol)):
        step = max(fault.count, moment.change_id - moment.previous)
        moment = moment._replace(previous=moment.previous - step, change_id=moment.change_id - step)
    if lane.book.asks.prices and script.twist(FlowFaultKind.CROSSED, lane.symbol):
        best = lane.book.asks.prices[0]
        bid = Row("new", best + tick, lane.book.asks.quantities[best])
        moment = moment._replace(bids=[bid, *moment.bids])
    return moment
