"""Builders with good defaults for the tests of risk, and a harness that runs a risk service."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple

from msgspec.structs import replace

from components.contracts.approval import SealedControl, SealKey, open_command
from components.contracts.commands import Control
from components.contracts.decisions import (
    ApprovalReply,
    ApprovalRequest,
    CheckName,
    CheckResult,
    Decision,
    DecisionInputs,
    DecisionMessage,
    OperatorCommand,
    OperatorReply,
    OrderEventApplied,
    RiskStarted,
)
from components.contracts.market import BookState, FeedHealth, FeedState, Quote, SymbolHealth
from components.contracts.orders import (
    Filled,
    IntentReceived,
    OrderMessage,
    OrderState,
    OrderUpdated,
    Reconciled,
    UpdateSource,
    VenueAccount,
    VenuePosition,
    VenueSession,
    client_order_id,
)
from components.contracts.protocol import FrameKind, Header
from components.contracts.signals import ApprovalTerms, Intent, ModelProvenance, Purpose
from components.contracts.streams import MARKET, ORDERS, POSITIONS, RISK_REQUESTS, STREAMS
from components.contracts.values import (
    AccountId,
    ExecutionId,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    StreamOffset,
    Symbol,
    TimeInForce,
    Venue,
    VenueOrderId,
)
from components.risk.core.account_state import RiskState
from components.risk.core.checks.evaluation import evaluate
from components.risk.core.limits import Limits, Timing
from components.risk.core.projection import apply
from components.risk.service.risk_service import RiskService
from components.runtime.metrics import Metrics
from components.runtime.service import (
    Append,
    Effect,
    MessageReceived,
    Publish,
    Reply,
    RequestReceived,
    SendCommand,
    StreamLost,
    StreamSynced,
)

NOW = 1_800_000_000_000_000_000
MS = 1_000_000
ACCOUNT = AccountId("sandbox")
JOURNAL = "0123456789abcdef0123456789abcdef"
ORDER_JOURNAL = "fedcba9876543210fedcba9876543210"
KEY = SealKey(bytes(range(32)))
AAPL, MSFT = Symbol("AAPL"), Symbol("MSFT")
ALPACA = Venue("alpaca")
EVIDENCE = ModelProvenance("model", "schema", (0.5,), (0.7,), (StreamOffset("market", "e", 4),), BookState.SYNCED)
LIMITS = Limits(
    symbols=("AAPL", "MSFT"),
    signal_age_ms_max=2_000,
    clock_skew_ms_max=100,
    repeat_window_ms=1_000,
    quote_age_ms_max=1_000,
    spread_bps_max=Decimal(20),
    price_collar_bps_max=Decimal(50),
    price_tick=Decimal("0.01"),
    price_tick_below_one=Decimal("0.0001"),
    order_quantity_max=Decimal(100),
    quantity_increment=Decimal(1),
    order_notional_max=Decimal(10_000),
    position_quantity_max=Decimal(150),
    short_selling=False,
    open_orders_max=5,
    order_rate_per_minute_max=10,
)
TIMING = Timing(
    approval_ttl_ms=10_000,
    command_retry_ms=500,
    order_age_ms_max=60_000,
    cancel_retry_ms=5_000,
    reconciliation_age_ms_max=30_000,
    data_age_ms_max=5_000,
    clock_jump_ms_max=2_000,
    clock_suspect_ms=3_000,
    pnl_interval_ms=1_000,
)


def an_intent(name: str = "s", **changes: Any) -> Intent:
    """Return an intent to buy ten AAPL at the ask; `quantity` and `limit_price` may be given as text."""
    fields: dict[str, Any] = {
        "signal_id": SignalId(name),
        "leg": 0,
        "strategy": StrategyId("demo"),
        "purpose": Purpose.ENTRY,
        "symbol": AAPL,
        "side": Side.BUY,
        "quantity": "10",
        "order_type": OrderType.LIMIT,
        "limit_price": "100.02",
        "time_in_force": TimeInForce.DAY,
        "provenance": EVIDENCE,
        "tick_at_ns": NOW,
        "created_at_ns": NOW,
        "expires_at_ns": NOW + 2_000 * MS,
    } | changes
    fields["quantity"] = Decimal(fields["quantity"])
    fields["limit_price"] = None if fields["limit_price"] is None else Decimal(fields["limit_price"])
    return Intent(**fields)


def an_exit(name: str = "x", **changes: Any) -> Intent:
    """Return an intent to sell ten AAPL that are held."""
    return an_intent(name, **{"purpose": Purpose.EXIT, "side": Side.SELL, "limit_price": "99.98"} | changes)


def decision_inputs(**changes: Any) -> DecisionInputs:
    """Return inputs with a fresh, narrow, synced market and no cause."""
    facts = DecisionInputs(
        now_ns=NOW,
        bid_price=Decimal("99.98"),
        ask_price=Decimal("100.02"),
        quote_received_at_ns=NOW,
        quote_offset=StreamOffset("market", "e", 7),
        book_state=BookState.SYNCED,
        bus_intact=True,
        causes=(),
        is_stopping=False,
    )
    return replace(facts, **changes)


def risk_started(limits: Limits = LIMITS, at_ns: int = NOW) -> RiskStarted:
    """Return the record of a start."""
    return RiskStarted(ACCOUNT, limits.version, "0", at_ns, limits.canonical_json)


def a_state(*records: DecisionMessage, limits: Limits = LIMITS) -> RiskState:
    """Return the state after a start and these records."""
    state = RiskState(account=ACCOUNT, journal_id=JOURNAL)
    for record in (risk_started(limits), *records):
        state = apply(state, record)
    return state


def applied_events(*bodies: OrderMessage, after: int = 0) -> list[OrderEventApplied]:
    """Return these messages as the next records of execution's journal."""
    return [
        OrderEventApplied(StreamOffset(ORDERS.name, ORDER_JOURNAL, sequence), body, NOW)
        for sequence, body in enumerate(bodies, after + 1)
    ]


def approved_decision(state: RiskState, intent: Intent, inputs: DecisionInputs | None = None) -> Decision:
    """Return an approval without running the checks."""
    terms = ApprovalTerms(ACCOUNT, LIMITS.version, state.next_sequence, NOW, NOW + 10_000 * MS)
    return Decision(intent, (), inputs or decision_inputs(), LIMITS.version, terms)


def with_orders(state: RiskState, *intents: Intent) -> RiskState:
    """Return the state after these intents were approved."""
    for intent in intents:
        state = apply(state, approved_decision(state, intent))
    return state


def holding(quantity: str, symbol: Symbol = AAPL, price: str = "100", after: int = 0) -> OrderEventApplied:
    """Return a fill of an external order that leads to this position."""
    number = Decimal(quantity)
    side = Side.BUY if number > 0 else Side.SELL
    (event,) = applied_events(a_fill(None, str(abs(number)), price, symbol=symbol, side=side), after=after)
    return event


def a_fill(intent: Intent | None, quantity: str, price: str, **changes: Any) -> Filled:
    """Return a fill of this quantity at this price."""
    fields: dict[str, Any] = {
        "execution_id": ExecutionId("x"),
        "intent_id": intent.intent_id if intent else None,
        "client_order_id": client_order_id(intent, 1) if intent else "by-hand",
        "venue_order_id": VenueOrderId("v"),
        "symbol": intent.symbol if intent else AAPL,
        "side": intent.side if intent else Side.BUY,
        "quantity": Decimal(quantity),
        "price": Decimal(price),
        "cumulative_quantity": Decimal(quantity),
        "source": UpdateSource.STREAM,
        "venue_at_ns": NOW,
        "at_ns": NOW,
    }
    return Filled(**fields | changes)


def an_update(intent: Intent | None, state: OrderState, filled: str = "0", **changes: Any) -> OrderUpdated:
    """Return an update to this state."""
    fields: dict[str, Any] = {
        "intent_id": intent.intent_id if intent else None,
        "client_order_id": client_order_id(intent, 1) if intent else "by-hand",
        "venue_order_id": VenueOrderId("v"),
        "symbol": intent.symbol if intent else AAPL,
        "side": intent.side if intent else Side.BUY,
        "quantity": intent.quantity if intent else Decimal(5),
        "filled_quantity": Decimal(filled),
        "average_price": None,
        "state": state,
        "source": UpdateSource.STREAM,
        "reason": "",
        "at_ns": NOW,
    }
    return OrderUpdated(**fields | changes)


def intent_received(intent: Intent, terms: ApprovalTerms) -> IntentReceived:
    """Return execution's record of the received intent."""
    return IntentReceived(intent, terms, client_order_id(intent, 1), NOW)


def reconciliation(*held: tuple[Symbol, str], at_ns: int = NOW, differences: tuple[str, ...] = ()) -> Reconciled:
    """Return a report in which the venue has these positions."""
    return Reconciled(
        venue=ALPACA,
        venue_account=VenueAccount("PA1", Decimal(1), Decimal(1), Decimal(1), trading_blocked=False),
        session=VenueSession(is_open=True, next_open_at_ns=0, next_close_at_ns=0, clock_offset_ns=0),
        positions=tuple(VenuePosition(symbol, Decimal(quantity), Decimal(100)) for symbol, quantity in held),
        open_orders=(),
        differences=differences,
        at_ns=at_ns,
    )


def a_quote(symbol: Symbol = AAPL, bid: str = "99.98", ask: str = "100.02", at_ns: int = NOW) -> Quote:
    """Return a quote."""
    return Quote(ALPACA, symbol, Decimal(bid), Decimal(100), Decimal(ask), Decimal(100), at_ns, at_ns)


def market_snapshot(at_ns: int = NOW) -> tuple[Any, ...]:
    """Return a live, synced, freshly quoted market."""
    symbols = (AAPL, MSFT)
    health = (SymbolHealth(ALPACA, symbol, BookState.SYNCED, "", at_ns) for symbol in symbols)
    quotes = (a_quote(symbol, at_ns=at_ns) for symbol in symbols)
    return (FeedHealth(ALPACA, FeedState.LIVE, "", at_ns), *health, *quotes)


LONG = a_state(holding("20"))
"""Twenty AAPL held, by a fill of an external order."""
NO_QUOTE: dict[str, Any] = {"bid_price": None, "ask_price": None}


class CheckExample(NamedTuple):
    """An intent, the inputs of its decision, and the account state."""

    intent: Intent
    inputs: DecisionInputs = decision_inputs()
    state: RiskState = a_state()


def check_result(example: CheckExample, name: CheckName) -> CheckResult:
    """Return the result of one check."""
    results = evaluate(example.intent, example.inputs, LIMITS, example.state)
    return next(one for one in results if one.name is name)


class RiskHarness:
    """A risk service with its inputs, effects and log."""

    def __init__(
        self,
        log: Iterable[DecisionMessage] = (),
        *,
        limits: Limits = LIMITS,
        timing: Timing = TIMING,
        now_ns: int = NOW,
    ) -> None:
        self.now_ns = now_ns
        self.log: list[DecisionMessage] = list(log)
        self._limits, self._timing = limits, timing
        self._reply_addresses = count(1)
        self.last_order_sequence = self._last_order_sequence()
        self.service = self._start()

    def _start(self) -> RiskService:
        state = RiskState(account=ACCOUNT, journal_id=JOURNAL)
        for record in self.log:
            state = apply(state, record)
        metrics = Metrics("risk", "0")
        service = RiskService(
            limits=self._limits, timing=self._timing, key=KEY, state=state, metrics=metrics, version="0"
        )
        self.metrics = metrics
        self.started = self._collect(service.on_start(self.now_ns))
        return service

    def _last_order_sequence(self) -> int:
        sequences = [one.offset.sequence for one in self.log if isinstance(one, OrderEventApplied)]
        return sequences[-1] if sequences else 0

    def _collect(self, effects: Iterable[Effect]) -> list[Effect]:
        kept = list(effects)
        self.log += [one.entry for one in kept if isinstance(one, Append)]
        return kept

    @property
    def state(self) -> RiskState:
        return self.service.state

    def restarted(self) -> "RiskHarness":
        """Restart it on the same log."""
        return RiskHarness(self.log, limits=self._limits, timing=self._timing, now_ns=self.now_ns)

    def receive(self, message: Any) -> list[Effect]:
        return self._collect(self.service.on_message(message, self.now_ns))

    def tick(self, passed_ms: int = 0) -> list[Effect]:
        self.now_ns += passed_ms * MS
        return self._collect(self.service.on_tick(self.now_ns))

    def wait(self, span_ms: int) -> list[Effect]:
        """Advance the clock in ticks of 50 ms while the market keeps quoting."""
        effects: list[Effect] = []
        for _ in range(span_ms // 50):
            self.now_ns += 50 * MS
            self.quote()
            effects += self._collect(self.service.on_tick(self.now_ns))
        return effects

    def quote(self, **changes: Any) -> list[Effect]:
        header = Header(1, FrameKind.MESSAGE, "market_data", "e", 9, 0, 0, 0)
        return self.receive(MessageReceived(MARKET, header, a_quote(**{"at_ns": self.now_ns} | changes)))

    def market_message(self, body: Any) -> list[Effect]:
        """Deliver a message of market_data."""
        return self.receive(MessageReceived(MARKET, Header(1, FrameKind.MESSAGE, "market_data", "e", 9, 0, 0, 0), body))

    def order_event(self, body: OrderMessage, journal: str = ORDER_JOURNAL) -> list[Effect]:
        """Deliver the next record of execution's journal."""
        self.last_order_sequence += 1
        return self.receive(
            MessageReceived(
                ORDERS, Header(1, FrameKind.MESSAGE, "execution", journal, self.last_order_sequence, 0, 0, 0), body
            )
        )

    def sync_market(self) -> list[Effect]:
        return self.receive(
            StreamSynced(MARKET, "market_data", StreamOffset("market", "e", 5), market_snapshot(self.now_ns))
        )

    def sync_orders(self) -> list[Effect]:
        return self.receive(
            StreamSynced(ORDERS, "execution", StreamOffset("orders", ORDER_JOURNAL, self.last_order_sequence), ())
        )

    def lose_stream(self, name: str, reason: str = "heartbeat timeout", *, is_diverged: bool = False) -> list[Effect]:
        return self.receive(StreamLost(STREAMS[name], "whoever", 0, reason, is_diverged))

    def reconcile(self, *held: tuple[Symbol, str], differences: tuple[str, ...] = ()) -> list[Effect]:
        return self.order_event(reconciliation(*held, at_ns=self.now_ns, differences=differences))

    def activate(self) -> "RiskHarness":
        """Deliver all evidence that trading needs."""
        self.sync_market()
        self.sync_orders()
        positions = [(symbol, str(quantity)) for symbol, quantity in self.state.positions().items()]
        self.reconcile(*positions)
        return self

    def request_approval(self, intent: Intent) -> tuple[ApprovalReply, list[Effect]]:
        return self.request(ApprovalRequest(intent))

    def operate(self, request: OperatorCommand) -> tuple[OperatorReply, list[Effect]]:
        return self.request(request)

    def request(self, body: Any) -> tuple[Any, list[Effect]]:
        ticket = str(next(self._reply_addresses)).encode()
        effects = self.receive(RequestReceived(RISK_REQUESTS, ticket, body))
        (answer,) = [one.body for one in effects if isinstance(one, Reply) and one.reply_to == ticket]
        return answer, effects


def fresh_intent(harness: RiskHarness, name: str = "s", **changes: Any) -> Intent:
    """Return an intent created now."""
    now_ns = harness.now_ns
    return an_intent(name, **{"created_at_ns": now_ns, "expires_at_ns": now_ns + 2_000 * MS} | changes)


def sent_frames(effects: Iterable[Effect]) -> list[bytes]:
    """Return the frames sent to execution."""
    return [one.frame for one in effects if isinstance(one, SendCommand)]


def sent_controls(effects: Iterable[Effect]) -> list[Control]:
    """Return the controls sent to execution."""
    return [one[0] for one in _opened(effects) if one[0] is not None]


def sent_intents(effects: Iterable[Effect]) -> list[Intent]:
    """Return the approved intents sent to execution."""
    return [one[1] for one in _opened(effects) if one[1] is not None]


def _opened(effects: Iterable[Effect]) -> Iterator[tuple[Control | None, Intent | None]]:
    for frame in sent_frames(effects):
        found = open_command(frame, KEY, ACCOUNT, 0)
        if isinstance(found, SealedControl):
            yield found.control, None
        else:
            yield None, found.intent


def published(effects: Iterable[Effect]) -> list[Any]:
    """Return what is published on `positions`."""
    return [one.body for one in effects if isinstance(one, Publish) and one.stream is POSITIONS]


def appended(effects: Iterable[Effect]) -> list[Any]:
    """Return the appended records."""
    return [one.entry for one in effects if isinstance(one, Append)]
