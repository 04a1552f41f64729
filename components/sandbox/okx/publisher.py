"""Publishes the channels of the simulated OKX to their subscribers as the order flow advances."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from msgspec import structs

from components.sandbox.numerics import MILLISECOND_NS, draws
from components.sandbox.okx.book_channels import (
    BOOKS,
    TICKER_PERIOD_MS,
    TICKERS,
    TRADES,
    TRADES_ALL,
    BookChannelState,
    BookPush,
    SequenceIds,
)
from components.sandbox.okx.messages import (
    BehaviorSettings,
    ChannelArgument,
    chained_book_message,
    checksum_field,
    encode,
    fill_document,
    full_book_message,
    merge_fills,
    ticker_document,
    trade_document,
)
from components.sandbox.simulation.order_flow import OrderFlow, SimTrade
from components.sandbox.transport.fault_injection import FaultInjector
from components.sandbox.transport.faults import CryptoFaultKind
from components.sandbox.transport.rate_limits import SlidingWindowLimit
from components.sandbox.transport.websocket import ClientConnection

KEEP_ALIVE_S = 60
QUOTE_CHANNELS = frozenset({"bbo-tbt", TICKERS})


class Client:
    """A connection with its id, login state and request limit."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.connection_id = f"{draws(connection.number, connection.venue, 0)[0] % (1 << 32):08x}"
        self.is_logged_in = False
        self.subscription_limit = subscription_limit()


class Publisher:
    """All channels that have subscribers."""

    def __init__(self, flow: OrderFlow, behavior: BehaviorSettings, now_ns: Callable[[], int], scale: float) -> None:
        self.sequence_ids = {symbol: SequenceIds(flow.last_id(symbol)) for symbol in flow.instruments}
        self._flow, self._behavior, self._now_ns = flow, behavior, now_ns
        self._keep_alive_ns = int(KEEP_ALIVE_S * scale * 1000) * MILLISECOND_NS
        self._subscribers: dict[ChannelArgument, list[Client]] = {}
        self._books: dict[ChannelArgument, BookChannelState] = {}
        self._last_trade_ids = {symbol: flow.last_trade_id(symbol) for symbol in flow.instruments}
        self._tickers: dict[str, object] = {}
        self._ticker_period = 0

    def subscribed_channels(self) -> list[str]:
        """Return the subscribed channels, each as often as it is subscribed."""
        return sorted(f"{one.channel}:{one.instId}" for one, clients in self._subscribers.items() for _ in clients)

    def is_subscribed(self, client: Client, argument: ChannelArgument) -> bool:
        """Return whether this client has subscribed this channel."""
        return client in self._subscribers.get(argument, ())

    def subscribe(self, client: Client, argument: ChannelArgument) -> None:
        """Add a subscriber, and send it the initial message of the channel."""
        self._subscribers.setdefault(argument, []).append(client)
        if argument.channel in BOOKS:
            self._subscribe_book(client, argument)
        elif argument.channel == TICKERS:
            self._send(client, argument, self._ticker(argument.instId))
        elif argument.channel == TRADES:
            # The last trade is cached, however old it is; trades not sent yet come with the next tick.
            last_trade_id = self._last_trade_ids[argument.instId]
            cached = self._flow.trades_after(argument.instId, last_trade_id - 1) if last_trade_id else []
            self._send_trades([client], argument, cached[:1])

    def unsubscribe(self, client: Client, argument: ChannelArgument) -> None:
        """Remove a subscriber; the state of a channel without subscribers is dropped."""
        if self.is_subscribed(client, argument):
            self._subscribers[argument].remove(client)
            if not self._subscribers[argument]:
                del self._subscribers[argument]
                self._books.pop(argument, None)

    def unsubscribe_all(self, client: Client) -> None:
        """Remove a client from all channels."""
        for argument in list(self._subscribers):
            self.unsubscribe(client, argument)

    def tick(self, now_ns: int) -> None:
        """Send what is due to all subscribers."""
        for symbol in self._flow.instruments:
            for channel in BOOKS:
                self._tick_book(ChannelArgument(channel, symbol), now_ns)
            self._tick_trades(symbol)
        period = now_ns // (TICKER_PERIOD_MS * MILLISECOND_NS)
        if period != self._ticker_period:
            self._ticker_period = period
            self._tick_tickers()

    def resend_snapshot(self, symbol: str) -> None:
        """Send a new snapshot to every subscriber of a chained book of this symbol, as the venue may at any time."""
        for argument, book in self._books.items():
            if argument.instId == symbol and book.channel.is_chained:
                self._send_book(self._subscribers[argument], book, book.view.snapshot())

    def _subscribe_book(self, client: Client, argument: ChannelArgument) -> None:
        book = self._books.get(argument)
        if book is None:
            sequence_ids = self.sequence_ids[argument.instId]
            book = BookChannelState(BOOKS[argument.channel], argument.instId, self._flow, sequence_ids, self._now_ns())
            self._books[argument] = book
        if self._behavior.ws_snapshot or not book.channel.is_chained:
            self._send_book([client], book, book.view.snapshot())

    def _tick_book(self, argument: ChannelArgument, now_ns: int) -> None:
        book = self._books.get(argument)
        if book is not None and (push := book.push(now_ns, self._keep_alive_ns)) is not None:
            self._send_book(self._subscribers[argument], book, push)

    def _send_book(self, clients: list[Client], book: BookChannelState, push: BookPush) -> None:
        text, topic = self._encode_book(book, push), "quote" if book.channel.name in QUOTE_CHANNELS else "book"
        for client in clients:
            corrupted = _corrupt(
                client.connection.fault_injector, book, push, self._flow.instruments[book.symbol].tick, topic
            )
            client.connection.send_data(
                text if corrupted is push else self._encode_book(book, corrupted), book.symbol, topic
            )

    def _encode_book(self, book: BookChannelState, push: BookPush) -> str:
        argument, at_ms = ChannelArgument(book.channel.name, book.symbol), self._now_ns() // MILLISECOND_NS
        if not book.channel.is_chained:
            return full_book_message(argument, push, at_ms)
        check = checksum_field(self._behavior.checksum, book.view.bids.items(), book.view.asks.items())
        return chained_book_message(argument, push, at_ms, check)

    def _tick_trades(self, symbol: str) -> None:
        trades = self._flow.trades_after(symbol, self._last_trade_ids[symbol])
        if trades:
            self._last_trade_ids[symbol] = trades[-1].id
            for channel in (TRADES, TRADES_ALL):
                argument = ChannelArgument(channel, symbol)
                self._send_trades(self._subscribers.get(argument, []), argument, trades)

    def _send_trades(self, clients: list[Client], argument: ChannelArgument, trades: list[SimTrade]) -> None:
        for document in self._trade_documents(argument, trades) if clients else ():
            for client in clients:
                self._send(client, argument, document)

    def _trade_documents(self, argument: ChannelArgument, trades: list[SimTrade]) -> Iterator[dict[str, object]]:
        symbol = argument.instId
        sequence = self.sequence_ids[symbol].to_wire(self._flow.last_id(symbol))
        if argument.channel == TRADES:
            return (trade_document(symbol, one, sequence) for one in merge_fills(trades))
        return (fill_document(symbol, one, sequence) for one in trades)

    def _tick_tickers(self) -> None:
        for argument, clients in self._subscribers.items():
            if argument.channel == TICKERS and (document := self._ticker(argument.instId)):
                known = {key: value for key, value in document.items() if key != "ts"}
                if self._tickers.get(argument.instId) != known:
                    self._tickers[argument.instId] = known
                    for client in clients:
                        self._send(client, argument, document)

    def _ticker(self, symbol: str) -> dict[str, object]:
        return {
            **ticker_document(self._flow.instruments[symbol], self._flow),
            "ts": str(self._now_ns() // MILLISECOND_NS),
        }

    def _send(self, client: Client, argument: ChannelArgument, document: dict[str, object]) -> None:
        topic = "quote" if argument.channel in QUOTE_CHANNELS else "trade"
        client.connection.send_data(encode({"arg": argument, "data": [document]}), argument.instId, topic)


def _corrupt(injector: FaultInjector, book: BookChannelState, push: BookPush, tick: Decimal, topic: str) -> BookPush:
    """Falsify a push for one client, where such a fault is armed."""
    # A snapshot under a wrong id could not be detected, so only updates are shifted, by so much that they count as old.
    if not push.is_snapshot and (fault := injector.should_corrupt(CryptoFaultKind.IDS_BACK, book.symbol, topic)):
        step = max(fault.count, push.sequence - push.prev_sequence)
        push = structs.replace(push, prev_sequence=push.prev_sequence - step, sequence=push.sequence - step)
    if book.view.asks and injector.should_corrupt(CryptoFaultKind.CROSSED, book.symbol, topic):
        best, quantity = next(iter(book.view.asks.items()))
        # A full book keeps its depth; an update has room for one more level.
        bids = push.bids if book.channel.is_chained else push.bids[:-1]
        push = structs.replace(push, bids=[(best + tick, quantity), *bids])
    return push


def subscription_limit() -> SlidingWindowLimit:
    """Return the limit of 480 subscribe, unsubscribe and login requests per hour and connection."""
    return SlidingWindowLimit(480, 3600)
