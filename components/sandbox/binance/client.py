"""One client of a Binance venue: what it asked for, in the venue's control words, and what it hears."""

import msgspec

from components.sandbox.binance.frames import Frames
from components.sandbox.binance.rules import Channel, Rules
from components.sandbox.binance.streams import BookTicker, Depth, MarkPrice, Partial, Source, Stream, Trades, parse
from components.sandbox.flow.connection import Connection
from components.sandbox.flow.cursor import Cursor
from components.sandbox.flow.orders import OrderFlow

STREAMS_MAX = 1024
UNKNOWN_PROPERTY, WRONG_TYPE, INVALID_REQUEST, INVALID_JSON = range(4)
METHODS = "SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY"
Identifier = int | str | None


class _Request(msgspec.Struct, frozen=True):
    method: str
    params: list[str | bool] = []
    id: Identifier = None


class Client:
    """A connection with its streams."""

    def __init__(self, connection: Connection, flow: OrderFlow, rules: Rules, route: str) -> None:
        self.connection = connection
        self.is_combined = False
        self.asked: dict[str, tuple[Stream, Source] | None] = {}  # None: confirmed, and silent for ever
        self._live: list[tuple[Stream, Source]] = []  # what is not silent, in the order in which it speaks
        self._flow, self._rules = flow, rules
        self._carried = rules.routes[route]
        self._frames = Frames(rules)

    def hear(self, text: str, now_ns: int) -> None:
        """Carry out what the client says."""
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.ValidationError as error:
            return self._refuse(INVALID_REQUEST, f"Invalid request: {error}")
        except (msgspec.MsgspecError, ValueError) as error:
            return self._refuse(INVALID_JSON, f"Invalid JSON: {error}")
        match request.method:
            case "SUBSCRIBE":
                self._subscribe(request, now_ns)
            case "UNSUBSCRIBE":
                self._leave(list(map(str, request.params)))
                self._answer(None, request.id)
            case "LIST_SUBSCRIPTIONS":
                self._answer(list(self.asked), request.id)
            case "SET_PROPERTY" | "GET_PROPERTY":
                self._property(request)
            case _:
                what = f"Invalid request: unknown variant `{request.method}`, expected one of {METHODS}"
                self._refuse(INVALID_REQUEST, what, request.id)
        return None

    def enter(self, names: list[str], now_ns: int) -> None:
        """Open streams; one that does not exist here is taken on and stays silent."""
        for name in names:
            if name in self.asked:
                continue
            stream = parse(name, self._rules, frozenset(self._flow.listings))
            self.connection.script.silences(stream.symbol if stream else name)
            if stream is None or stream.channel not in self._carried:
                self.asked[name] = None
            else:
                self.asked[name] = stream, self._source(stream, now_ns)
        self._line_up()

    def tick(self, now_ns: int) -> None:
        """Say what is due: quotes before the books that agree with them."""
        self.connection.tick(now_ns)
        for stream, source in self._live:
            for text in source.due(now_ns):
                self.connection.tell(self._wrapped(stream.name, text), stream.symbol, source.topic)

    def warn(self, now_ns: int) -> None:
        """Tell that this server goes."""
        event = f'{{"e":"serverShutdown","E":{now_ns // 1_000_000}}}'
        self.connection.say(self._wrapped("!serverShutdown", event))

    def _subscribe(self, request: _Request, now_ns: int) -> None:
        names = [str(name) for name in request.params]
        if not names:
            return self._refuse(INVALID_REQUEST, "Invalid request: at least one stream is required", request.id)
        if len(self.asked) + len(names) > STREAMS_MAX:
            return self._refuse(INVALID_REQUEST, "Invalid request: too many streams", request.id)
        # Each gets its chance: one that is refused refuses the request.
        codes = [self.connection.rejects(name.partition("@")[0].upper()) for name in names]
        if any(code is not None for code in codes):
            return self._refuse(INVALID_REQUEST, "Invalid request: refused", request.id)
        self.enter(names, now_ns)
        return self._answer(None, request.id)

    def _leave(self, names: list[str]) -> None:
        for name in names:
            self.asked.pop(name, None)
            self.connection.script.forget(name.partition("@")[0].upper())
        self._line_up()

    def _line_up(self) -> None:
        self._live = sorted(filter(None, self.asked.values()), key=_by_rank)

    def _property(self, request: _Request) -> None:
        match (request.method, request.params):
            case ("SET_PROPERTY", ["combined", bool() as value]):
                self.is_combined = value
                self._answer(None, request.id)
            case ("GET_PROPERTY", ["combined"]):
                self._answer(self.is_combined, request.id)
            case (_, ["combined", *_]):
                self._refuse(WRONG_TYPE, "Invalid value type: expected Boolean", request.id)
            case _:
                self._refuse(UNKNOWN_PROPERTY, "Unknown property", request.id)

    def _source(self, stream: Stream, now_ns: int) -> Source:
        flow, frames = self._flow, self._frames
        match stream.channel:
            case Channel.DEPTH:
                return Depth(self._cursor(stream, now_ns), flow, frames, self.connection.script)
            case Channel.PARTIAL:
                return Partial(self._cursor(stream, now_ns), flow, frames, stream.levels)
            case Channel.MARK_PRICE:
                return MarkPrice(self._cursor(stream, now_ns), flow, frames)
            case Channel.BOOK_TICKER:
                return BookTicker(stream.symbol, flow, frames)
            case Channel.AGG_TRADE | Channel.TRADE:
                return Trades(stream, flow, frames)

    def _cursor(self, stream: Stream, now_ns: int) -> Cursor:
        # All symbols of a spot connection beat together; on futures each has its own beat.
        phase_ns = self.connection.phase_ns(stream.period_ns, stream.symbol if self._rules.is_futures else "")
        due_ns = now_ns - now_ns % stream.period_ns + phase_ns
        due_ns += stream.period_ns if due_ns <= now_ns else 0
        return Cursor(stream.symbol, self._flow.last_id(stream.symbol), stream.period_ns, due_ns)

    def _wrapped(self, name: str, text: str) -> str:
        return f'{{"stream":"{name}","data":{text}}}' if self.is_combined else text

    def _answer(self, result: object, request_id: Identifier) -> None:
        self.connection.say(msgspec.json.encode({"result": result, "id": request_id}).decode())

    def _refuse(self, code: int, message: str, request_id: Identifier = None) -> None:
        document = {"code": code, "msg": message}
        if request_id is not None:
            document["id"] = request_id
        self.connection.say(msgspec.json.encode(document).decode())


def _by_rank(one: tuple[Stream, Source]) -> bool:
    return one[0].channel is not Channel.BOOK_TICKER
