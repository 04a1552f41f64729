"""Who listens to which OKX channel, and what each of them is told as the order flow moves."""

from collections.abc import Callable, Iterator
from decimal import Decimal

from msgspec import structs

from components.sandbox.flow.faults import FlowFaultKind
from components.sandbox.flow.orders import OrderFlow, Print
from components.sandbox.flow.script import Script
from components.sandbox.okx.channels import BOOKS, TICKER_PERIOD_MS, TICKERS, TRADES, TRADES_ALL
from components.sandbox.okx.clients import Client
from components.sandbox.okx.cuts import Push
from components.sandbox.okx.frames import book_update, book_whole, check_value, encode
from components.sandbox.okx.lines import MILLISECOND_NS, BookLine
from components.sandbox.okx.modes import Modes
from components.sandbox.okx.numbering import Numbering
from components.sandbox.okx.requests import Argument
from components.sandbox.okx.tape import merge, ticker, trade, trade_fill

KEEP_ALIVE_S = 60
QUOTES = frozenset({"bbo-tbt", TICKERS})


class Board:
    """All channels that somebody hears."""

    def __init__(self, flow: OrderFlow, modes: Modes, now_ns: Callable[[], int], scale: float) -> None:
        self.numbering = {symbol: Numbering(flow.last_id(symbol)) for symbol in flow.listings}
        self._flow, self._modes, self._now_ns = flow, modes, now_ns
        self._keep_alive_ns = int(KEEP_ALIVE_S * scale * 1000) * MILLISECOND_NS
        self._listeners: dict[Argument, list[Client]] = {}
        self._lines: dict[Argument, BookLine] = {}
        self._told = {symbol: flow.prints_count(symbol) for symbol in flow.listings}
        self._tickers: dict[str, object] = {}
        self._ticker_beat = 0

    def heard(self) -> list[str]:
        """Name what is heard, as often as it is."""
        return sorted(f"{one.channel}:{one.instId}" for one, clients in self._listeners.items() for _ in clients)

    def listens(self, client: Client, argument: Argument) -> bool:
        """Tell whether this client hears this channel already."""
        return client in self._listeners.get(argument, ())

    def add(self, client: Client, argument: Argument) -> None:
        """Add a listener, and tell it what such a channel begins with."""
        self._listeners.setdefault(argument, []).append(client)
        if argument.channel in BOOKS:
            self._begin_book(client, argument)
        elif argument.channel == TICKERS:
            self._tell(client, argument, self._ticker(argument.instId))
        elif argument.channel == TRADES:
            # The last trade is cached, however old it is; what was not told yet comes with the next beat.
            told = self._told[argument.instId]
            cached = self._flow.prints_after(argument.instId, told - 1) if told else []
            self._tell_trades([client], argument, cached[:1])

    def remove(self, client: Client, argument: Argument) -> None:
        """Let a client hear a channel no longer; what nobody hears is forgotten."""
        if self.listens(client, argument):
            self._listeners[argument].remove(client)
            if not self._listeners[argument]:
                del self._listeners[argument]
                self._lines.pop(argument, None)

    def leave(self, client: Client) -> None:
        """Forget a client."""
        for argument in list(self._listeners):
            self.remove(client, argument)

    def beat(self, now_ns: int) -> None:
        """Tell everybody what is due."""
        for symbol in self._flow.listings:
            for channel in BOOKS:
                self._beat_book(Argument(channel, symbol), now_ns)
            self._beat_trades(symbol)
        beat = now_ns // (TICKER_PERIOD_MS * MILLISECOND_NS)
        if beat != self._ticker_beat:
            self._ticker_beat = beat
            self._beat_tickers()

    def resend(self, symbol: str) -> None:
        """Send every listener of a chained book of this symbol a new snapshot, as the venue may at any time."""
        for argument, line in self._lines.items():
            if argument.instId == symbol and line.channel.is_chained:
                self._tell_book(self._listeners[argument], line, line.window.snapshot())

    def _begin_book(self, client: Client, argument: Argument) -> None:
        line = self._lines.get(argument)
        if line is None:
            numbering = self.numbering[argument.instId]
            line = BookLine(BOOKS[argument.channel], argument.instId, self._flow, numbering, self._now_ns())
            self._lines[argument] = line
        if self._modes.ws_snapshot or not line.channel.is_chained:
            self._tell_book([client], line, line.window.snapshot())

    def _beat_book(self, argument: Argument, now_ns: int) -> None:
        line = self._lines.get(argument)
        if line is not None and (push := line.push(now_ns, self._keep_alive_ns)) is not None:
            self._tell_book(self._listeners[argument], line, push)

    def _tell_book(self, clients: list[Client], line: BookLine, push: Push) -> None:
        text, topic = self._text(line, push), "quote" if line.channel.name in QUOTES else "book"
        for client in clients:
            twisted = _twisted(client.connection.script, line, push, self._flow.listings[line.symbol].tick, topic)
            client.connection.tell(text if twisted is push else self._text(line, twisted), line.symbol, topic)

    def _text(self, line: BookLine, push: Push) -> str:
        argument, at_ms = Argument(line.channel.name, line.symbol), self._now_ns() // MILLISECOND_NS
        if not line.channel.is_chained:
            return book_whole(argument, push, at_ms)
        check = check_value(self._modes.checksum, line.window.bids.items(), line.window.asks.items())
        return book_update(argument, push, at_ms, check)

    def _beat_trades(self, symbol: str) -> None:
        prints = self._flow.prints_after(symbol, self._told[symbol])
        if prints:
            self._told[symbol] = prints[-1].id
            for channel in (TRADES, TRADES_ALL):
                argument = Argument(channel, symbol)
                self._tell_trades(self._listeners.get(argument, []), argument, prints)

    def _tell_trades(self, clients: list[Client], argument: Argument, prints: list[Print]) -> None:
        for document in self._trades(argument, prints) if clients else ():
            for client in clients:
                self._tell(client, argument, document)

    def _trades(self, argument: Argument, prints: list[Print]) -> Iterator[dict[str, object]]:
        symbol = argument.instId
        sequence = self.numbering[symbol].sent(self._flow.last_id(symbol))
        if argument.channel == TRADES:
            return (trade(symbol, one, sequence) for one in merge(prints))
        return (trade_fill(symbol, one, sequence) for one in prints)

    def _beat_tickers(self) -> None:
        for argument, clients in self._listeners.items():
            if argument.channel == TICKERS and (document := self._ticker(argument.instId)):
                known = {key: value for key, value in document.items() if key != "ts"}
                if self._tickers.get(argument.instId) != known:
                    self._tickers[argument.instId] = known
                    for client in clients:
                        self._tell(client, argument, document)

    def _ticker(self, symbol: str) -> dict[str, object]:
        return {**ticker(self._flow.listings[symbol], self._flow), "ts": str(self._now_ns() // MILLISECOND_NS)}

    def _tell(self, client: Client, argument: Argument, document: dict[str, object]) -> None:
        topic = "quote" if argument.channel in QUOTES else "trade"
        client.connection.tell(encode({"arg": argument, "data": [document]}), argument.instId, topic)


def _twisted(script: Script, line: BookLine, push: Push, tick: Decimal, topic: str) -> Push:
    """Make a push wrong for one client, where that is armed."""
    # Of an image under another's id nobody could ever know; changes go back by so much that they are old.
    if not push.is_snapshot and (fault := script.twist(FlowFaultKind.IDS_BACK, line.symbol, topic)):
        step = max(fault.count, push.sequence - push.previous)
        push = structs.replace(push, previous=push.previous - step, sequence=push.sequence - step)
    if line.window.asks and script.twist(FlowFaultKind.CROSSED, line.symbol, topic):
        best, quantity = next(iter(line.window.asks.items()))
        # A whole book keeps its depth; an update has room for one more level.
        bids = push.bids if line.channel.is_chained else push.bids[:-1]
        push = structs.replace(push, bids=[(best + tick, quantity), *bids])
    return push
