"""One sample of every message, each field with a value that shows where it was encoded."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, get_args

from components.contracts.commands import (
    Accepted,
    Cancel,
    CancelAll,
    Control,
    Rejected,
    RejectReason,
    SetTradingState,
    Withdraw,
)
from components.contracts.decisions import (
    AccountPosition,
    AccountQuery,
    AccountSnapshot,
    ApprovalReply,
    ApprovalRequest,
    CauseCleared,
    CauseRaised,
    CheckName,
    CheckResult,
    CommandRejected,
    Decision,
    DecisionInputs,
    MalformedRequest,
    OperatorAction,
    OperatorCommand,
    OperatorReply,
    OrderEventApplied,
    RiskStarted,
)
from components.contracts.market import (
    BookDelta,
    BookGap,
    BookSnapshot,
    BookState,
    FeedHealth,
    FeedState,
    Quote,
    SymbolHealth,
    Trade,
)
from components.contracts.orders import (
    ClientOrderIdConflict,
    ControlReceived,
    Filled,
    IntentReceived,
    OpeningBalance,
    OrderSending,
    OrderState,
    OrderUpdated,
    Reconciled,
    UpdateSource,
    VenueAccount,
    VenueConnectivity,
    VenueConnectivityChanged,
    VenuePosition,
    VenueSession,
)
from components.contracts.protocol import (
    SCHEMA_VERSION,
    ComponentHealth,
    FrameKind,
    Header,
    RecoveryBatch,
    RecoveryReply,
    RecoveryRequest,
    RecoveryUnavailable,
    ReplayRequest,
    SnapshotRequest,
    SubscriberProgress,
)
from components.contracts.signals import ApprovalTerms, Intent, ModelProvenance, Purpose
from components.contracts.streams import STREAMS, StreamClass
from components.contracts.trading import Cause, Position, ProfitAndLoss, TradingState, TradingStatus
from components.contracts.values import (
    AccountId,
    ClientOrderId,
    CommandId,
    ExecutionId,
    IntentId,
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

AT_NS = 1_700_000_000_000_000_000
ACCOUNT = AccountId("paper-1")
VENUE = Venue("alpaca")
SYMBOL = Symbol("AAPL")
OFFSET = StreamOffset("market", "0123456789ab", 41)
PROVENANCE = ModelProvenance(
    model_hash="m" * 8,
    schema_hash="s" * 8,
    features=(0.5, -1.25),
    prediction=(0.125, 0.875),
    input_offsets=(OFFSET,),
    book_state=BookState.SYNCED,
)
INTENT = Intent(
    signal_id=SignalId("demo-0a1b-7"),
    leg=1,
    strategy=StrategyId("demo"),
    purpose=Purpose.ENTRY,
    symbol=SYMBOL,
    side=Side.BUY,
    quantity=Decimal("2.5"),
    order_type=OrderType.LIMIT,
    limit_price=Decimal("187.25"),
    time_in_force=TimeInForce.DAY,
    provenance=PROVENANCE,
    tick_at_ns=AT_NS,
    created_at_ns=AT_NS + 1,
    expires_at_ns=AT_NS + 2,
)
TERMS = ApprovalTerms(ACCOUNT, "limits-3", 17, AT_NS + 3, AT_NS + 4)
CLIENT_ORDER_ID = ClientOrderId("demo-0a1b-7-1-0")
VENUE_ORDER_ID = VenueOrderId("61e69015-8549-4bfd-b9c3-01e75843f47d")
CHECK_RESULT = CheckResult(CheckName.ORDER_NOTIONAL, "468.12", "1000", passed=True)
DECISION_INPUTS = DecisionInputs(
    AT_NS,
    Decimal("187.21"),
    None,
    AT_NS - 5,
    OFFSET,
    BookState.SYNCED,
    bus_intact=True,
    causes=(Cause.DATA_STALE,),
    is_stopping=False,
)
CANCEL = Cancel(CommandId("c-1"), CLIENT_ORDER_ID, "operator")
VENUE_ACCOUNT = VenueAccount("PA3", Decimal("1000.10"), Decimal(2000), Decimal(4000), trading_blocked=False)
VENUE_POSITION = VenuePosition(SYMBOL, Decimal(-3), Decimal("180.5"))
SESSION = VenueSession(is_open=True, next_open_at_ns=AT_NS + 6, next_close_at_ns=AT_NS + 7, clock_offset_ns=-8)
FILLED = Filled(
    execution_id=ExecutionId("20211103:1"),
    intent_id=INTENT.intent_id,
    client_order_id=CLIENT_ORDER_ID,
    venue_order_id=VENUE_ORDER_ID,
    symbol=SYMBOL,
    side=Side.SELL,
    quantity=Decimal(1),
    price=Decimal("187.2"),
    cumulative_quantity=Decimal("2.5"),
    source=UpdateSource.STREAM,
    venue_at_ns=AT_NS + 9,
    at_ns=AT_NS + 10,
)
MESSAGES: tuple[Any, ...] = (
    Quote(VENUE, SYMBOL, Decimal("187.21"), Decimal(3), Decimal("187.23"), Decimal(5), AT_NS, AT_NS + 11),
    Trade(VENUE, SYMBOL, Decimal("187.22"), Decimal(100), AT_NS, AT_NS + 12),
    SymbolHealth(VENUE, SYMBOL, BookState.STALE, "no quote for 5,000 ms", AT_NS),
    FeedHealth(VENUE, FeedState.LIVE, "subscribed", AT_NS),
    BookSnapshot(
        Venue("BINANCEUM"),
        Symbol("BINANCEUM:BTC-USDT-PERP"),
        157,
        ((Decimal("60000.1"), Decimal("0.25")), (Decimal("60000.0"), Decimal(2))),
        ((Decimal("60000.2"), Decimal("0.001")),),
        AT_NS,
        AT_NS + 1,
    ),
    BookDelta(
        Venue("BINANCEUM"),
        Symbol("BINANCEUM:BTC-USDT-PERP"),
        157,
        160,
        ((Decimal("60000.1"), Decimal(0)),),
        (),
        AT_NS,
        AT_NS + 1,
    ),
    BookGap(Venue("BINANCEUM"), Symbol("BINANCEUM:BTC-USDT-PERP"), 160, 171, AT_NS),
    ApprovalRequest(INTENT),
    OperatorCommand(CommandId("c-2"), OperatorAction.HALT, "drill"),
    AccountQuery("a-1"),
    ApprovalReply(INTENT.intent_id, allowed=True, checks=(CHECK_RESULT,), sequence=17),
    OperatorReply(CommandId("c-2"), done=True, detail="halted"),
    AccountSnapshot(
        request_id="a-1",
        account=ACCOUNT,
        state=TradingState.REDUCING,
        causes=(Cause.DATA_STALE,),
        positions=(AccountPosition(SYMBOL, Decimal(2), Decimal("186.4")),),
        working=(INTENT.intent_id,),
        outbox=(IntentId("demo-0a1b-8-0"),),
        unknown=(IntentId("demo-0a1b-6-0"),),
        realised=Decimal("12.5"),
        unrealised=Decimal("-3.25"),
        sequence=18,
    ),
    MalformedRequest("no such request"),
    Accepted(CommandId("c-3"), 19),
    Rejected(CommandId("c-4"), RejectReason.EXPIRED, "12.0 ms ago"),
    IntentReceived(INTENT, TERMS, CLIENT_ORDER_ID, AT_NS),
    OrderSending(INTENT.intent_id, CLIENT_ORDER_ID, 0, AT_NS),
    OrderUpdated(
        intent_id=None,
        client_order_id=CLIENT_ORDER_ID,
        venue_order_id=VENUE_ORDER_ID,
        symbol=SYMBOL,
        side=Side.BUY,
        quantity=Decimal("2.5"),
        filled_quantity=Decimal(1),
        average_price=Decimal("187.2"),
        state=OrderState.PARTIALLY_FILLED,
        source=UpdateSource.QUERY,
        reason="",
        at_ns=AT_NS,
    ),
    FILLED,
    ControlReceived(CANCEL, TERMS, AT_NS),
    OpeningBalance(ACCOUNT, VENUE_ACCOUNT, (VENUE_POSITION,), AT_NS),
    Reconciled(VENUE, VENUE_ACCOUNT, SESSION, (VENUE_POSITION,), (CLIENT_ORDER_ID,), ("AAPL: 1 here, 2 there",), AT_NS),
    VenueConnectivityChanged(VENUE, VenueConnectivity.DEGRADED, "503", AT_NS),
    ClientOrderIdConflict(CLIENT_ORDER_ID, "another symbol", AT_NS),
    Decision(INTENT, (CHECK_RESULT,), DECISION_INPUTS, "limits-3", TERMS),
    CauseRaised(Cause.OPERATOR_HALT, "drill", AT_NS),
    CauseCleared(Cause.STARTING, "reconciled", AT_NS),
    OrderEventApplied(StreamOffset("orders", "f" * 32, 5), FILLED, AT_NS),
    CommandRejected(INTENT.intent_id, RejectReason.FORGED, "the seal does not match", AT_NS),
    RiskStarted(ACCOUNT, "limits-3", "0.1.0", AT_NS, limits="{}"),
    Position(SYMBOL, Decimal(-1), Decimal("187.2"), Decimal("4.5"), Decimal(2), Decimal(0), AT_NS),
    ProfitAndLoss(Decimal("4.5"), Decimal("-0.5"), AT_NS),
    TradingStatus(TradingState.HALTED, (Cause.STARTING,), AT_NS),
    ComponentHealth("risk", "0.1.0", ("positions",), (OFFSET,), AT_NS),
    SnapshotRequest("market"),
    ReplayRequest("orders", 12),
    SubscriberProgress("risk", OFFSET),
    RecoveryBatch(OFFSET, ((41, b"\x91\x01"),), complete=False),
    RecoveryUnavailable("orders", "not said here"),
    CANCEL,
    CancelAll(CommandId("c-5"), "shutdown"),
    Withdraw(CommandId("c-6"), INTENT.intent_id, "halt"),
    SetTradingState(CommandId("c-7"), TradingState.ACTIVE, "reconciled"),
)
HEADERS: dict[str, Header] = {
    "Header of a message": Header(
        SCHEMA_VERSION,
        FrameKind.MESSAGE,
        "market_data",
        "0123456789ab",
        42,
        AT_NS,
        AT_NS + 1,
        AT_NS + 2,
        b"\x01" * 25,
        "0123456789ab",
    ),
    "Header of a heartbeat": Header(
        SCHEMA_VERSION, FrameKind.HEARTBEAT, "execution", "f" * 32, 7, 0, 0, AT_NS, b"", "0123456789ab"
    ),
}


def union_members(union: Any) -> tuple[type, ...]:
    return get_args(union) or (union,)


def all_message_types() -> Iterator[type]:
    """Return every type that may be in a frame, from the table of streams and the recovery socket."""
    for stream in STREAMS.values():
        if stream.stream_class is not StreamClass.SEALED:
            yield from union_members(stream.messages)
        if stream.replies is not None:
            yield from union_members(stream.replies)
    for union in (RecoveryRequest, RecoveryReply, Control):
        yield from union_members(union)
