"""A small stage for the order service: frames, venue orders and answers with good defaults, and its journal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace

from components.contracts.approval import SealKey, approve, seal_control, write_frame
from components.contracts.commands import Control
from components.contracts.market import BookState
from components.contracts.orders import (
    Filled,
    OrderMessage,
    OrderState,
    OrderUpdated,
    VenueAccount,
    VenuePosition,
    VenueSession,
)
from components.contracts.signals import ApprovalTerms, Evidence, Intent, Purpose, propose
from components.contracts.topics import COMMANDS
from components.contracts.values import (
    AccountId,
    ClientOrderId,
    ExecutionId,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    Symbol,
    TimeInForce,
    Venue,
    VenueOrderId,
)
from components.execution.config import ExecutionConfig
from components.execution.core.state import ExecutionState
from components.execution.core.truths import missing_execution_id
from components.execution.core.venue import (
    Answer,
    EventKind,
    Execution,
    OrderAccepted,
    OrderEvent,
    QueryOrder,
    ReadVenue,
    StreamUp,
    SubmitOrder,
    VenueOrder,
    VenueRead,
)
from components.execution.service.execution import ExecutionService
from components.execution.service.meters import Meters
from components.runtime.metrics import Metrics
from components.runtime.service import Append, Asked, Call, Called, Effect, Fed, Halt, Note, Reply

START_NS = 1_795_194_000_000_000_000
NS_PER_MS = 1_000_000
ACCOUNT = AccountId("sandbox")
KEY = SealKey(b"k" * 32)
OTHER_KEY = SealKey(b"o" * 32)
AAPL = Symbol("AAPL")
LIFE_MS = 5_000

CONFIG = ExecutionConfig.model_validate(
    {
        "pace": {"orders_per_minute": 120, "reads_per_minute": 6_000, "reserve_per_minute": 40},
        "reconcile": {"interval_s": 30, "fills_margin_s": 30},
        "desk": {"submits_in_flight_max": 8, "cancel_check_ms": 2_000, "buffered_events_max": 100},
        "fence": {"quantity": "1", "buy_price": "0.01", "sell_price": "199999.99"},
        "condition": {
            "degraded_after_failures": 2,
            "lost_after_failures": 4,
            "slow_answer_ms": 2_000,
            "degraded_after_slow": 5,
        },
        "alpaca": {
            "trading_url": "http://127.0.0.1:1",
            "stream_url": "ws://127.0.0.1:1/stream",
            "key": "env:APCA_API_KEY_ID",
            "secret": "env:APCA_API_SECRET_KEY",
            "connect_ms_max": 2_000,
            "answer_ms_max": 5_000,
            "connections_max": 8,
            "ping_interval_ms": 5_000,
            "pong_ms_max": 5_000,
            "silence_ms_max": 30_000,
            "reconnect_first_ms_max": 250,
            "reconnect_ms_max": 4_000,
            "frame_bytes_max": 1_048_576,
        },
    }
)

Found = TypeVar("Found")


def intent(number: int = 1, **changes: Any) -> Intent:
    """Make a wish to buy ten AAPL at 150."""
    facts: dict[str, Any] = {
        "signal_id": SignalId(f"demo-e1-{number}"),
        "leg": 0,
        "strategy": StrategyId("demo"),
        "purpose": Purpose.ENTRY,
        "symbol": AAPL,
        "side": Side.BUY,
        "quantity": Decimal(10),
        "order_type": OrderType.LIMIT,
        "limit_price": Decimal(150),
        "time_in_force": TimeInForce.DAY,
        "evidence": Evidence("m", "s", (0.5,), (0.9,), (), BookState.SYNCED),
        "tick_at_ns": START_NS,
        "created_at_ns": START_NS,
        "expires_at_ns": START_NS + 60_000 * NS_PER_MS,
    }
    return Intent(**facts | changes)


def terms(now_ns: int = START_NS, life_ms: int = LIFE_MS, account: AccountId = ACCOUNT) -> ApprovalTerms:
    return ApprovalTerms(account, "limits-1", 7, now_ns, now_ns + life_ms * NS_PER_MS)


def frame(wanted: Intent | None = None, given: ApprovalTerms | None = None, key: SealKey = KEY) -> bytes:
    return write_frame(approve(propose(wanted or intent()), given or terms(), key))


def control_frame(control: Control, given: ApprovalTerms | None = None) -> bytes:
    return seal_control(control, given or terms(), KEY)


def name_of(number: int = 1) -> ClientOrderId:
    return ClientOrderId(f"demo-e1-{number}-0-1")


def venue_id(number: int = 1) -> VenueOrderId:
    return VenueOrderId(f"v-{number}")


def seen(number: int = 1, **changes: Any) -> VenueOrder:
    """Make the venue's account of the order behind `intent(number)`, resting and unfilled."""
    facts: dict[str, Any] = {
        "venue_order_id": venue_id(number),
        "client_order_id": name_of(number),
        "symbol": AAPL,
        "side": Side.BUY,
        "quantity": Decimal(10),
        "order_type": "limit",
        "limit_price": Decimal(150),
        "filled_quantity": Decimal(0),
        "average_price": None,
        "state": OrderState.OPEN,
        "word": "new",
    }
    return VenueOrder(**facts | changes)


def filled_to(cumulative: int, number: int = 1, average: str = "149", **changes: Any) -> VenueOrder:
    """Make the venue's account of an order filled so far."""
    is_full = cumulative == 10
    facts: dict[str, Any] = {
        "filled_quantity": Decimal(cumulative),
        "average_price": Decimal(average),
        "state": OrderState.FILLED if is_full else OrderState.PARTIALLY_FILLED,
        "word": "filled" if is_full else "partially_filled",
    }
    return seen(number, **facts | changes)


def execution(quantity: int, cumulative: int, number: int = 1, price: str = "149") -> Execution:
    return Execution(
        execution_id=ExecutionId(f"x-{number}-{cumulative}"),
        venue_order_id=venue_id(number),
        quantity=Decimal(quantity),
        price=Decimal(price),
        cumulative_quantity=Decimal(cumulative),
        venue_at_ns=START_NS + cumulative,
    )


def row(quantity: int, cumulative: int, number: int = 1, price: str = "149") -> Execution:
    """Make an execution as the account's activities tell it: without the stream's id for it."""
    name = missing_execution_id(venue_id(number), Decimal(cumulative))
    return replace(execution(quantity, cumulative, number, price), execution_id=name)


def fill_event(quantity: int, cumulative: int, number: int = 1, price: str = "149", average: str = "149") -> OrderEvent:
    return OrderEvent(
        EventKind.EXECUTION,
        filled_to(cumulative, number, average),
        execution(quantity, cumulative, number, price),
    )


def status_event(order: VenueOrder, kind: EventKind | None = EventKind.STATUS) -> OrderEvent:
    return OrderEvent(kind, order, None)


def position(quantity: int, symbol: Symbol = AAPL) -> VenuePosition:
    return VenuePosition(symbol, Decimal(quantity), Decimal(149))


def read(
    *orders: VenueOrder,
    positions: Iterable[VenuePosition] = (),
    fills: Iterable[Execution] = (),
    missing: Iterable[QueryOrder] = (),
    account_number: str = "PA1",
) -> VenueRead:
    """Make a reading of the venue."""
    return VenueRead(
        orders=orders,
        missing=tuple(missing),
        fills=tuple(fills),
        positions=tuple(positions),
        account=VenueAccount(account_number, Decimal(1000), Decimal(1000), Decimal(2000), trading_blocked=False),
        session=VenueSession(is_open=True, next_open_at_ns=START_NS, next_close_at_ns=START_NS + 1, clock_offset_ns=0),
    )


@dataclass
class Scene:
    """A running service with its journal; everything it wanted done is kept."""

    journal: list[OrderMessage] = field(default_factory=list)
    now_ns: int = START_NS

    def __post_init__(self) -> None:
        state = ExecutionState()
        for record in self.journal:
            state.apply(record)
        self.metrics = Metrics("execution", "test")
        self.effects: list[Effect] = []
        self.open_calls: list[Any] = []
        self.state = state
        self.service = ExecutionService(state, CONFIG, Meters(self.metrics), venue=Venue("alpaca"), seal=(KEY, ACCOUNT))

    def start(self) -> "Scene":
        self._keep(self.service.on_start(self.now_ns))
        return self

    def open(self, *orders: VenueOrder, positions: Iterable[VenuePosition] = ()) -> "Scene":
        """Start, connect the stream, and let the venue be read until it is reconciled."""
        self.start()
        self.feed(StreamUp())
        self.read_until_quiet(read(*orders, positions=positions))
        return self

    def read_until_quiet(self, answer: VenueRead, *, times: int = 6) -> None:
        """Answer the readings that are due now, until none is."""
        for _ in range(times):
            self.pass_ms(150)
            if not (asked := self.calls(ReadVenue)):
                return
            self.answer(asked[-1], answer)

    def feed_reading(self, answer: VenueRead) -> None:
        """Have the venue read once more, as after a new connect of the stream."""
        self.feed(StreamUp())
        self.tick()
        self.answer(self.calls(ReadVenue)[-1], answer)

    def ask(self, sealed: bytes, ticket: bytes = b"t") -> list[Effect]:
        return self._keep(self.service.on_message(Asked(COMMANDS, ticket, sealed), self.now_ns))

    def feed(self, body: object) -> list[Effect]:
        return self._keep(self.service.on_message(Fed(body), self.now_ns))

    def answer(self, request: object, answer: Answer) -> list[Effect]:
        self.open_calls = [call for call in self.open_calls if call is not request]
        return self._keep(self.service.on_message(Called(request, answer), self.now_ns))

    def tick(self) -> list[Effect]:
        return self._keep(self.service.on_tick(self.now_ns))

    def stop(self) -> list[Effect]:
        return self._keep(self.service.on_stop(self.now_ns))

    def pass_ms(self, milliseconds: int) -> list[Effect]:
        self.now_ns += milliseconds * NS_PER_MS
        return self.tick()

    def calls(self, kind: type[Found]) -> list[Found]:
        """Give the requests of a kind that were not answered yet."""
        return [call for call in self.open_calls if isinstance(call, kind)]

    def call(self, kind: type[Found]) -> Found:
        """Give the one request of a kind that was not answered yet."""
        found = self.calls(kind)
        assert len(found) == 1, (kind.__name__, self.open_calls)
        return found[0]

    def accept(self, number: int = 1, **changes: Any) -> SubmitOrder:
        """Hand an intent over and give the request that it became."""
        self.ask(frame(intent(number, **changes), terms(self.now_ns)))
        return next(call for call in self.calls(SubmitOrder) if call.client_order_id == name_of(number))

    def work(self, number: int = 1) -> VenueOrder:
        """Bring an order to the venue."""
        order = seen(number)
        self.answer(self.accept(number), OrderAccepted(order))
        return order

    def order_state(self, number: int = 1) -> OrderState:
        order = self.state.of_client_id(name_of(number))
        assert order is not None
        return order.state

    def replies(self) -> list[Any]:
        return [effect.body for effect in self.effects if isinstance(effect, Reply)]

    def records(self, kind: type[Found]) -> list[Found]:
        return [record for record in self.journal if isinstance(record, kind)]

    def fills(self) -> list[tuple[Any, Any]]:
        """Give quantity and price of every fill."""
        return [(fill.quantity, fill.price) for fill in self.records(Filled)]

    def states(self, number: int = 1) -> list[OrderState]:
        return [record.state for record in self.records(OrderUpdated) if record.client_order_id == name_of(number)]

    def notes(self) -> list[str]:
        return [effect.event for effect in self.effects if isinstance(effect, Note)]

    def halts(self) -> list[BaseException]:
        return [effect.error for effect in self.effects if isinstance(effect, Halt)]

    def metric(self, line: str) -> float:
        page = self.metrics.exposition().decode()
        return float(next(row for row in page.splitlines() if row.startswith(line + " ")).split()[-1])

    def restart(self, *, records: int | None = None) -> "Scene":
        """End without a word and begin again from the journal, or from its first records."""
        return Scene(self.journal[: len(self.journal) if records is None else records], self.now_ns)

    def _keep(self, effects: Iterable[Effect]) -> list[Effect]:
        kept = list(effects)
        self.effects.extend(kept)
        self.journal.extend(effect.entry for effect in kept if isinstance(effect, Append))
        self.open_calls.extend(effect.request for effect in kept if isinstance(effect, Call))
        return kept
