"""Builders with good defaults for the tests of execution, and a harness that runs a service with its journal."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypeVar

from msgspec.structs import replace

from components.contracts.approval import SealKey, approve, encode_approval, seal_control
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
from components.contracts.signals import ApprovalTerms, Intent, ModelProvenance, Purpose, propose
from components.contracts.streams import COMMANDS
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
from components.execution.core.execution_reports import inferred_execution_id
from components.execution.core.state import ExecutionState
from components.execution.core.venue_messages import (
    EventKind,
    Execution,
    FetchVenueSnapshot,
    OrderAccepted,
    OrderStreamUp,
    QueryOrder,
    SubmitOrder,
    VenueOrder,
    VenueOrderEvent,
    VenueResponse,
    VenueSnapshot,
)
from components.execution.service.execution_service import ExecutionService
from components.execution.service.metrics import ExecutionMetrics
from components.runtime.metrics import Metrics
from components.runtime.service import (
    Append,
    CallVenue,
    Effect,
    LogEvent,
    Reply,
    RequestReceived,
    Terminate,
    VenueCallCompleted,
    VenueEvent,
)

START_NS = 1_795_194_000_000_000_000
NS_PER_MS = 1_000_000
ACCOUNT = AccountId("sandbox")
KEY = SealKey(b"k" * 32)
OTHER_KEY = SealKey(b"o" * 32)
AAPL = Symbol("AAPL")
APPROVAL_TTL_MS = 5_000
CONFIG = ExecutionConfig.model_validate(
    {
        "request_budget": {"orders_per_minute": 120, "reads_per_minute": 6_000, "reserve_per_minute": 40},
        "reconciliation": {"interval_s": 30, "fills_margin_s": 30},
        "orders": {"submits_in_flight_max": 8, "cancel_check_ms": 2_000, "buffered_events_max": 100},
        "fence": {"quantity": "1", "buy_price": "0.01", "sell_price": "199999.99"},
        "venue_health": {
            "degraded_after_failures": 2,
            "lost_after_failures": 4,
            "slow_response_ms": 2_000,
            "degraded_after_slow_responses": 5,
        },
        "alpaca": {
            "trading_url": "http://127.0.0.1:1",
            "stream_url": "ws://127.0.0.1:1/stream",
            "key": "env:APCA_API_KEY_ID",
            "secret": "env:APCA_API_SECRET_KEY",
            "connect_timeout_ms": 2_000,
            "reply_timeout_ms": 5_000,
            "connections_max": 8,
            "ping_interval_ms": 5_000,
            "pong_timeout_ms": 5_000,
            "probe_after_idle_ms": 30_000,
            "retry_ms_first": 250,
            "retry_ms_max": 4_000,
            "frame_bytes_max": 1_048_576,
        },
    }
)
Found = TypeVar("Found")


def intent(number: int = 1, **changes: Any) -> Intent:
    """Return an intent to buy ten AAPL at 150."""
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
        "provenance": ModelProvenance("m", "s", (0.5,), (0.9,), (), BookState.SYNCED),
        "tick_at_ns": START_NS,
        "created_at_ns": START_NS,
        "expires_at_ns": START_NS + 60_000 * NS_PER_MS,
    }
    return Intent(**facts | changes)


def terms(now_ns: int = START_NS, ttl_ms: int = APPROVAL_TTL_MS, account: AccountId = ACCOUNT) -> ApprovalTerms:
    return ApprovalTerms(account, "limits-1", 7, now_ns, now_ns + ttl_ms * NS_PER_MS)


def approval_frame(wanted: Intent | None = None, under: ApprovalTerms | None = None, key: SealKey = KEY) -> bytes:
    return encode_approval(approve(propose(wanted or intent()), under or terms(), key))


def control_frame(control: Control, under: ApprovalTerms | None = None) -> bytes:
    return seal_control(control, under or terms(), KEY)


def client_id(number: int = 1) -> ClientOrderId:
    return ClientOrderId(f"demo-e1-{number}-0-1")


def venue_id(number: int = 1) -> VenueOrderId:
    return VenueOrderId(f"v-{number}")


def venue_order(number: int = 1, **changes: Any) -> VenueOrder:
    """Return the venue's order for `intent(number)`, resting and unfilled."""
    facts: dict[str, Any] = {
        "venue_order_id": venue_id(number),
        "client_order_id": client_id(number),
        "symbol": AAPL,
        "side": Side.BUY,
        "quantity": Decimal(10),
        "order_type": "limit",
        "limit_price": Decimal(150),
        "filled_quantity": Decimal(0),
        "average_price": None,
        "state": OrderState.OPEN,
        "venue_status": "new",
    }
    return VenueOrder(**facts | changes)


def filled_to(cumulative: int, number: int = 1, average: str = "149", **changes: Any) -> VenueOrder:
    """Return the venue's order filled up to this quantity."""
    is_full = cumulative == 10
    facts: dict[str, Any] = {
        "filled_quantity": Decimal(cumulative),
        "average_price": Decimal(average),
        "state": OrderState.FILLED if is_full else OrderState.PARTIALLY_FILLED,
        "venue_status": "filled" if is_full else "partially_filled",
    }
    return venue_order(number, **facts | changes)


def execution(quantity: int, cumulative: int, number: int = 1, price: str = "149") -> Execution:
    return Execution(
        execution_id=ExecutionId(f"x-{number}-{cumulative}"),
        venue_order_id=venue_id(number),
        quantity=Decimal(quantity),
        price=Decimal(price),
        cumulative_quantity=Decimal(cumulative),
        venue_at_ns=START_NS + cumulative,
    )


def activity_fill(quantity: int, cumulative: int, number: int = 1, price: str = "149") -> Execution:
    """Return an execution as the account's activities report it: without the id of the stream."""
    name = inferred_execution_id(venue_id(number), Decimal(cumulative))
    return replace(execution(quantity, cumulative, number, price), execution_id=name)


def fill_event(
    quantity: int, cumulative: int, number: int = 1, price: str = "149", average: str = "149"
) -> VenueOrderEvent:
    return VenueOrderEvent(
        EventKind.EXECUTION,
        filled_to(cumulative, number, average),
        execution(quantity, cumulative, number, price),
    )


def status_event(order: VenueOrder, kind: EventKind | None = EventKind.STATUS) -> VenueOrderEvent:
    return VenueOrderEvent(kind, order, None)


def position(quantity: int, symbol: Symbol = AAPL) -> VenuePosition:
    return VenuePosition(symbol, Decimal(quantity), Decimal(149))


def venue_snapshot(
    *orders: VenueOrder,
    positions: Iterable[VenuePosition] = (),
    fills: Iterable[Execution] = (),
    missing: Iterable[QueryOrder] = (),
    account_number: str = "PA1",
) -> VenueSnapshot:
    """Return a snapshot of the venue."""
    return VenueSnapshot(
        orders=orders,
        missing=tuple(missing),
        fills=tuple(fills),
        positions=tuple(positions),
        account=VenueAccount(account_number, Decimal(1000), Decimal(1000), Decimal(2000), trading_blocked=False),
        session=VenueSession(is_open=True, next_open_at_ns=START_NS, next_close_at_ns=START_NS + 1, clock_offset_ns=0),
    )


@dataclass
class ExecutionHarness:
    """A running service with its journal; every effect is kept."""

    journal: list[OrderMessage] = field(default_factory=list)
    now_ns: int = START_NS

    def __post_init__(self) -> None:
        state = ExecutionState()
        for record in self.journal:
            state.apply(record)
        self.metrics = Metrics("execution", "test")
        self.effects: list[Effect] = []
        self.open_requests: list[Any] = []
        self.state = state
        self.service = ExecutionService(
            state, CONFIG, ExecutionMetrics(self.metrics), venue=Venue("alpaca"), seal=(KEY, ACCOUNT)
        )

    def start(self) -> "ExecutionHarness":
        self._collect(self.service.on_start(self.now_ns))
        return self

    def open_journal(self, *orders: VenueOrder, positions: Iterable[VenuePosition] = ()) -> "ExecutionHarness":
        """Start, connect the stream, and deliver snapshots until the account is reconciled."""
        self.start()
        self.venue_event(OrderStreamUp())
        self.reconcile(venue_snapshot(*orders, positions=positions))
        return self

    def reconcile(self, answer: VenueSnapshot, *, times: int = 6) -> None:
        """Respond to snapshot requests until none is due."""
        for _ in range(times):
            self.advance_ms(150)
            if not (pending := self.requests(FetchVenueSnapshot)):
                return
            self.respond(pending[-1], answer)

    def reconnect(self, answer: VenueSnapshot) -> None:
        """Connect the stream again and deliver the snapshot that follows."""
        self.venue_event(OrderStreamUp())
        self.tick()
        self.respond(self.requests(FetchVenueSnapshot)[-1], answer)

    def send_command(self, sealed: bytes, ticket: bytes = b"t") -> list[Effect]:
        return self._collect(self.service.on_message(RequestReceived(COMMANDS, ticket, sealed), self.now_ns))

    def venue_event(self, body: object) -> list[Effect]:
        return self._collect(self.service.on_message(VenueEvent(body), self.now_ns))

    def respond(self, request: object, answer: VenueResponse) -> list[Effect]:
        self.open_requests = [call for call in self.open_requests if call is not request]
        return self._collect(self.service.on_message(VenueCallCompleted(request, answer), self.now_ns))

    def tick(self) -> list[Effect]:
        return self._collect(self.service.on_tick(self.now_ns))

    def stop(self) -> list[Effect]:
        return self._collect(self.service.on_stop(self.now_ns))

    def advance_ms(self, milliseconds: int) -> list[Effect]:
        self.now_ns += milliseconds * NS_PER_MS
        return self.tick()

    def requests(self, kind: type[Found]) -> list[Found]:
        """Return the open requests of a type."""
        return [call for call in self.open_requests if isinstance(call, kind)]

    def only_request(self, kind: type[Found]) -> Found:
        """Return the only open request of a type."""
        found = self.requests(kind)
        assert len(found) == 1, (kind.__name__, self.open_requests)
        return found[0]

    def submit(self, number: int = 1, **changes: Any) -> SubmitOrder:
        """Send an approved intent and return the venue request that follows."""
        self.send_command(approval_frame(intent(number, **changes), terms(self.now_ns)))
        return next(call for call in self.requests(SubmitOrder) if call.client_order_id == client_id(number))

    def submit_accepted(self, number: int = 1) -> VenueOrder:
        """Submit an order that the venue accepts."""
        order = venue_order(number)
        self.respond(self.submit(number), OrderAccepted(order))
        return order

    def order_state(self, number: int = 1) -> OrderState:
        order = self.state.order_by_client_id(client_id(number))
        assert order is not None
        return order.state

    def replies(self) -> list[Any]:
        return [effect.body for effect in self.effects if isinstance(effect, Reply)]

    def records(self, kind: type[Found]) -> list[Found]:
        return [record for record in self.journal if isinstance(record, kind)]

    def fills(self) -> list[tuple[Any, Any]]:
        """Return quantity and price of every fill."""
        return [(fill.quantity, fill.price) for fill in self.records(Filled)]

    def states(self, number: int = 1) -> list[OrderState]:
        return [record.state for record in self.records(OrderUpdated) if record.client_order_id == client_id(number)]

    def logged_events(self) -> list[str]:
        return [effect.event for effect in self.effects if isinstance(effect, LogEvent)]

    def terminations(self) -> list[BaseException]:
        return [effect.error for effect in self.effects if isinstance(effect, Terminate)]

    def metric(self, line: str) -> float:
        page = self.metrics.exposition().decode()
        return float(next(row for row in page.splitlines() if row.startswith(line + " ")).split()[-1])

    def restart(self, *, records: int | None = None) -> "ExecutionHarness":
        """Stop without a drain and restart from the journal, or from its first records."""
        return ExecutionHarness(self.journal[: len(self.journal) if records is None else records], self.now_ns)

    def _collect(self, effects: Iterable[Effect]) -> list[Effect]:
        kept = list(effects)
        self.effects.extend(kept)
        self.journal.extend(effect.entry for effect in kept if isinstance(effect, Append))
        self.open_requests.extend(effect.request for effect in kept if isinstance(effect, CallVenue))
        return kept
