"""One client connection of a simulated Binance venue: its requests, its streams, and what they send."""

import msgspec

from components.sandbox.binance.messages import MessageEncoder
from components.sandbox.binance.rules import Channel, VenueRules
from components.sandbox.binance.streams import (
    BookTickerStream,
    DepthStream,
    MarkPriceStream,
    PartialDepthStream,
    Stream,
    StreamSpec,
    TradeStream,
    parse_stream_name,
)
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.simulation.order_flow import BatchCursor, OrderFlow
from components.sandbox.transport.websocket import ClientConnection

STREAMS_MAX = 1024
UNKNOWN_PROPERTY, WRONG_TYPE, INVALID_REQUEST, INVALID_JSON = range(4)
METHODS = "SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY"
Identifier = int | str | None


class _Request(msgspec.Struct, frozen=True):
    method: str
    params: list[str | bool] = []
    id: Identifier = None


class ClientSession:
    """A client connection with its streams."""

    def __init__(self, connection: ClientConnection, flow: OrderFlow, rules: VenueRules, route: str) -> None:
        self.connection = connection
        self.is_combined = False
        self.subscriptions: dict[str, tuple[StreamSpec, Stream] | None] = {}  # None: confirmed, but never served
        self._active: list[tuple[StreamSpec, Stream]] = []  # the served streams, in the order in which they send
        self._flow, self._rules = flow, rules
        self._served_channels = rules.routes[route]
        self._encoder = MessageEncoder(rules)

    def on_message(self, text: str, now_ns: int) -> None:
        """Handle one request of the client."""
        try:
            request = msgspec.json.decode(text, type=_Request)
        except msgspec.ValidationError as error:
            return self._send_error(INVALID_REQUEST, f"Invalid request: {error}")
        except (msgspec.MsgspecError, ValueError) as error:
            return self._send_error(INVALID_JSON, f"Invalid JSON: {error}")
        match request.method:
            case "SUBSCRIBE":
                self._subscribe(request, now_ns)
            case "UNSUBSCRIBE":
                self._unsubscribe(list(map(str, request.params)))
                self._send_result(None, request.id)
            case "LIST_SUBSCRIPTIONS":
                self._send_result(list(self.subscriptions), request.id)
            case "SET_PROPERTY" | "GET_PROPERTY":
                self._on_property(request)
            case _:
                what = f"Invalid request: unknown variant `{request.method}`, expected one of {METHODS}"
                self._send_error(INVALID_REQUEST, what, request.id)
        return None

    def open_streams(self, names: list[str], now_ns: int) -> None:
        """Open streams; one that does not exist on this route is accepted and never sends anything."""
        for name in names:
            if name in self.subscriptions:
                continue
            spec = parse_stream_name(name, self._rules, frozenset(self._flow.instruments))
            self.connection.fault_injector.maybe_never_serve(spec.symbol if spec else name)
            if spec is None or spec.channel not in self._served_channels:
                self.subscriptions[name] = None
            else:
                self.subscriptions[name] = spec, self._make_stream(spec, now_ns)
        self._sort_streams()

    def tick(self, now_ns: int) -> None:
        """Send what is due: quotes before the book updates that agree with them."""
        self.connection.tick(now_ns)
        for spec, stream in self._active:
            for text in stream.pending_frames(now_ns):
                self.connection.send_data(self._wrap(spec.name, text), spec.symbol, stream.topic)

    def send_shutdown_notice(self, now_ns: int) -> None:
        """Send the notice that this server shuts down."""
        event = f'{{"e":"serverShutdown","E":{now_ns // MILLISECOND_NS}}}'
        self.connection.send(self._wrap("!serverShutdown", event))

    def _subscribe(self, request: _Request, now_ns: int) -> None:
        names = [str(name) for name in request.params]
        if not names:
            return self._send_error(INVALID_REQUEST, "Invalid request: at least one stream is required", request.id)
        if len(self.subscriptions) + len(names) > STREAMS_MAX:
            return self._send_error(INVALID_REQUEST, "Invalid request: too many streams", request.id)
        # Every stream counts for the fault; one rejected stream rejects the request.
        codes = [self.connection.rejection_code(name.partition("@")[0].upper()) for name in names]
        if any(code is not None for code in codes):
            return self._send_error(INVALID_REQUEST, "Invalid request: refused", request.id)
        self.open_streams(names, now_ns)
        return self._send_result(None, request.id)

    def _unsubscribe(self, names: list[str]) -> None:
        for name in names:
            self.subscriptions.pop(name, None)
            self.connection.fault_injector.on_unsubscribe(name.partition("@")[0].upper())
        self._sort_streams()

    def _sort_streams(self) -> None:
        self._active = sorted(filter(None, self.subscriptions.values()), key=_stream_priority)

    def _on_property(self, request: _Request) -> None:
        match (request.method, request.params):
            case ("SET_PROPERTY", ["combined", bool() as value]):
                self.is_combined = value
                self._send_result(None, request.id)
            case ("GET_PROPERTY", ["combined"]):
                self._send_result(self.is_combined, request.id)
            case (_, ["combined", *_]):
                self._send_error(WRONG_TYPE, "Invalid value type: expected Boolean", request.id)
            case _:
                self._send_error(UNKNOWN_PROPERTY, "Unknown property", request.id)

    def _make_stream(self, spec: StreamSpec, now_ns: int) -> Stream:
        flow, encoder = self._flow, self._encoder
        match spec.channel:
            case Channel.DEPTH:
                return DepthStream(self._make_cursor(spec, now_ns), flow, encoder, self.connection.fault_injector)
            case Channel.PARTIAL:
                return PartialDepthStream(self._make_cursor(spec, now_ns), flow, encoder, spec.levels)
            case Channel.MARK_PRICE:
                return MarkPriceStream(self._make_cursor(spec, now_ns), flow, encoder)
            case Channel.BOOK_TICKER:
                return BookTickerStream(spec.symbol, flow, encoder)
            case Channel.AGG_TRADE | Channel.TRADE:
                return TradeStream(spec, flow, encoder)

    def _make_cursor(self, spec: StreamSpec, now_ns: int) -> BatchCursor:
        # All symbols of a spot connection share one phase; on futures each symbol has its own.
        phase_ns = self.connection.phase_ns(spec.period_ns, spec.symbol if self._rules.is_futures else "")
        due_ns = now_ns - now_ns % spec.period_ns + phase_ns
        due_ns += spec.period_ns if due_ns <= now_ns else 0
        return BatchCursor(spec.symbol, self._flow.last_id(spec.symbol), spec.period_ns, due_ns)

    def _wrap(self, name: str, text: str) -> str:
        return f'{{"stream":"{name}","data":{text}}}' if self.is_combined else text

    def _send_result(self, result: object, request_id: Identifier) -> None:
        self.connection.send(msgspec.json.encode({"result": result, "id": request_id}).decode())

    def _send_error(self, code: int, message: str, request_id: Identifier = None) -> None:
        document = {"code": code, "msg": message}
        if request_id is not None:
            document["id"] = request_id
        self.connection.send(msgspec.json.encode(document).decode())


def _stream_priority(one: tuple[StreamSpec, Stream]) -> bool:
    return one[0].channel is not Channel.BOOK_TICKER
