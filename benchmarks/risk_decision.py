"""The cost of an approval: every check, the encoded decision record, the seal and the frame, on a busy account."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from hashlib import blake2b
from itertools import islice
from statistics import median
from typing import Any, Final

from components.contracts.approval import SealKey, approve, encode_approval
from components.contracts.decisions import ApprovalRequest, CauseCleared, Decision, OrderEventApplied, RiskStarted
from components.contracts.market import BookState, FeedHealth, FeedState, Quote, SymbolHealth
from components.contracts.orders import (
    IntentReceived,
    OrderMessage,
    OrderState,
    OrderUpdated,
    Reconciled,
    UpdateSource,
    VenueAccount,
    VenueSession,
    client_order_id,
)
from components.contracts.protocol import SCHEMA_VERSION, FrameKind, Header
from components.contracts.signals import Intent, ModelProvenance, Purpose, propose
from components.contracts.streams import MARKET, ORDERS, RISK_REQUESTS
from components.contracts.trading import Cause
from components.contracts.values import (
    ZERO,
    AccountId,
    OrderType,
    Side,
    SignalId,
    StrategyId,
    StreamOffset,
    Symbol,
    TimeInForce,
    Venue,
)
from components.risk.core.account_state import RiskState
from components.risk.core.checks.evaluation import decide
from components.risk.core.limits import Limits, Timing
from components.risk.core.observations import Observations
from components.risk.core.projection import apply
from components.risk.service.risk_service import RiskService
from components.runtime.bus.codec import encode, message_decoder
from components.runtime.metrics import Metrics
from components.runtime.service import MessageReceived, RequestReceived, StreamSynced

Row = dict[str, Any]
BOUND_US: Final = 60.0
SYMBOLS: Final = tuple(Symbol(f"S{letter}") for letter in "ABCDEFGHIJKLMNOPQRST")
OPEN_ORDERS: Final = 50
CACHED_DECISIONS: Final = 1_000
WARM_UP: Final = 300
SAMPLES: Final = 2_000
PAUSE_S: Final = 1 / 300
TTL_NS: Final = 10_000_000_000
ACCOUNT: Final = AccountId("bench")
KEY: Final = SealKey(bytes(32))
ALPACA: Final = Venue("alpaca")
EVIDENCE: Final = ModelProvenance(
    "f" * 64,
    "e" * 64,
    tuple(number / 7 for number in range(12)),
    (0.61, 0.30, 0.09),
    tuple(StreamOffset("market", "d" * 16, number) for number in range(2)),
    BookState.SYNCED,
)
TIMING: Final = Timing(
    approval_ttl_ms=10_000,
    command_retry_ms=500,
    order_age_ms_max=60_000,
    cancel_retry_ms=5_000,
    reconciliation_age_ms_max=600_000,
    data_age_ms_max=600_000,
    clock_jump_ms_max=60_000,
    clock_suspect_ms=0,
    pnl_interval_ms=1_000,
)
LIMITS: Final = Limits(
    symbols=SYMBOLS,
    signal_age_ms_max=600_000,
    clock_skew_ms_max=100,
    repeat_window_ms=1_000,
    quote_age_ms_max=600_000,
    spread_bps_max=Decimal(30),
    price_collar_bps_max=Decimal(50),
    price_tick=Decimal("0.01"),
    price_tick_below_one=Decimal("0.0001"),
    order_quantity_max=Decimal(100),
    quantity_increment=Decimal(1),
    order_notional_max=Decimal(1_000_000),
    position_quantity_max=Decimal(1_000_000),
    short_selling=False,
    open_orders_max=10_000,
    order_rate_per_minute_max=1_000_000,
)


def rows() -> list[Row]:
    """Measure the target between quotes, as in a live process; also after idle pauses, and the whole request."""
    state, observations = _busy_account(time.time_ns())
    quotes = _Quotes(observations)
    floor_us = _p50(_floor(state, observations), quotes.receive)
    ours_us = _p50(_decided(state, observations), quotes.receive)
    idle_us = _p50(_decided(state, observations), lambda: time.sleep(PAUSE_S))
    request_us = _p50(_requested(state), quotes.receive)
    return [
        _row("decision + seal p50", ours_us, floor_us, BOUND_US),
        _row("decision + seal p50, 300 a second on an idle core", idle_us, None, None),
        _row("request to risk p50, all of it before the disk", request_us, None, None),
    ]


class _Quotes:
    """What a live process does between two decisions: it receives quotes."""

    def __init__(self, observations: Observations) -> None:
        self._observations, self._decode = observations, message_decoder(MARKET)
        self._frames = [encode(message) for message in _market(time.time_ns()) if isinstance(message, Quote)]
        self._place = StreamOffset("market", "m", 2)

    def receive(self) -> None:
        """Decode and apply a quote of every symbol."""
        for frame in self._frames:
            self._observations.on_market_message(self._decode(frame), self._place)


def _decided(state: RiskState, observations: Observations) -> Iterator[Callable[[], object]]:
    """Decide, encode the record, seal, encode the frame."""
    for intent in _intents():

        def decided(intent: Intent = intent) -> object:
            now_ns = intent.created_at_ns
            facts = observations.decision_inputs(intent.symbol, now_ns, tuple(state.causes), is_stopping=False)
            decision = decide(intent, facts, LIMITS, state, TTL_NS)
            record = encode(decision)
            if decision.terms is None:
                raise SystemExit(f"refused: {decision.failed_checks}")
            return record, encode_approval(approve(propose(intent), decision.terms, KEY))

        yield decided


def _floor(state: RiskState, observations: Observations) -> Iterator[Callable[[], object]]:
    """Encode and hash the same bytes, without a decision."""
    keyed = blake2b(key=bytes(32), digest_size=32)
    for intent in _intents():
        facts = observations.decision_inputs(intent.symbol, intent.created_at_ns, (), is_stopping=False)
        decision = decide(intent, facts, LIMITS, state, TTL_NS)

        def hashed(decision: Decision = decision) -> object:
            record, sealing = encode(decision), keyed.copy()
            sealing.update(encode((decision.intent, decision.terms)))
            return record, sealing.digest()

        yield hashed


def _requested(state: RiskState) -> Iterator[Callable[[], object]]:
    """Run the whole request through the service: inputs, checks, fold, seal, effects."""
    service = RiskService(limits=LIMITS, timing=TIMING, key=KEY, state=state, metrics=Metrics("risk", "0"), version="0")
    now_ns = time.time_ns()
    service.on_start(now_ns)
    _give_evidence(service, state, now_ns)
    last = _give_evidence(service, state, now_ns)
    for number, intent in enumerate(_intents(), last + 1):
        request = RequestReceived(RISK_REQUESTS, b"ticket", ApprovalRequest(intent))
        yield partial(service.on_message, request, intent.created_at_ns)
        # The decided order is removed again, so that the account stays as busy as it is.
        service.on_message(_order_message(number, _update(intent, OrderState.NEVER_SENT)), intent.created_at_ns)


def _give_evidence(service: RiskService, state: RiskState, now_ns: int) -> int:
    last = 1 + (state.orders_offset.sequence if state.orders_offset else 0)
    service.on_message(_order_message(last, _reconciled(now_ns)), now_ns)
    service.on_message(StreamSynced(ORDERS, "execution", StreamOffset("orders", "o", last), ()), now_ns)
    service.on_message(StreamSynced(MARKET, "market_data", StreamOffset("market", "m", 1), _market(now_ns)), now_ns)
    return last


def _order_message(sequence: int, event: OrderMessage) -> MessageReceived:
    return MessageReceived(
        ORDERS, Header(SCHEMA_VERSION, FrameKind.MESSAGE, "execution", "o", sequence, 0, 0, 0), event
    )


def _busy_account(now_ns: int) -> tuple[RiskState, Observations]:
    """Return a state with twenty symbols, fifty open orders, and a morning's cached decisions."""
    observations = Observations(LIMITS, TIMING)
    observations.on_orders_synced()
    observations.on_market_synced(StreamOffset("market", "m", 1), _market(now_ns))
    state = RiskState(account=ACCOUNT, journal_id="j" * 32)
    state = apply(state, RiskStarted(ACCOUNT, LIMITS.version, "0", now_ns, LIMITS.canonical_json))
    intents = _intents("past", 5_000)
    for number in range(CACHED_DECISIONS):
        intent = next(intents)
        facts = observations.decision_inputs(intent.symbol, intent.created_at_ns, (), is_stopping=False)
        decision = decide(intent, facts, LIMITS, state, TTL_NS)
        state = apply(state, decision)
        state = _acted_on(state, decision, at_work=number >= CACHED_DECISIONS - OPEN_ORDERS)
    return apply(state, CauseCleared(Cause.STARTING, "", now_ns)), observations


def _acted_on(state: RiskState, decision: Decision, *, at_work: bool) -> RiskState:
    if decision.terms is None:
        return state
    intent = decision.intent
    update = _update(intent, OrderState.OPEN if at_work else OrderState.CANCELLED)
    for event in (IntentReceived(intent, decision.terms, update.client_order_id, 0), update):
        sequence = state.orders_offset.sequence + 1 if state.orders_offset else 1
        state = apply(state, OrderEventApplied(StreamOffset("orders", "o", sequence), event, 0))
    return state


def _update(intent: Intent, state: OrderState) -> OrderUpdated:
    return OrderUpdated(
        intent.intent_id,
        client_order_id(intent, 1),
        None,
        intent.symbol,
        intent.side,
        intent.quantity,
        ZERO,
        None,
        state,
        UpdateSource.STREAM,
        "",
        intent.created_at_ns,
    )


def _intents(name: str = "now", number: int = 0) -> Iterator[Intent]:
    while True:
        number += 1
        now_ns = time.time_ns()
        yield Intent(
            SignalId(f"{name}-{number}"),
            0,
            StrategyId("bench"),
            Purpose.ENTRY,
            SYMBOLS[number % len(SYMBOLS)],
            Side.BUY,
            Decimal(1 + number % 7),
            OrderType.LIMIT,
            Decimal("187.22") + Decimal(number % 89) / 100,
            TimeInForce.IOC,
            EVIDENCE,
            now_ns,
            now_ns,
            now_ns + TTL_NS,
        )


def _market(now_ns: int) -> tuple[Any, ...]:
    health = (SymbolHealth(ALPACA, symbol, BookState.SYNCED, "", now_ns) for symbol in SYMBOLS)
    bid, ask, size = Decimal("187.21"), Decimal("187.25"), Decimal(3)
    quotes = (Quote(ALPACA, symbol, bid, size, ask, size, now_ns, now_ns) for symbol in SYMBOLS)
    return (FeedHealth(ALPACA, FeedState.LIVE, "", now_ns), *health, *quotes)


def _reconciled(now_ns: int) -> Reconciled:
    account = VenueAccount("A", ZERO, ZERO, ZERO, trading_blocked=False)
    return Reconciled(ALPACA, account, VenueSession(True, 0, 0, 0), (), (), (), now_ns)  # noqa: FBT003


def _p50(work: Iterator[Callable[[], object]], between: Callable[[], object]) -> float:
    found = []
    for one in islice(work, WARM_UP + SAMPLES):
        between()
        started_ns = time.perf_counter_ns()
        one()
        found.append((time.perf_counter_ns() - started_ns) / 1e3)
    return median(found[WARM_UP:])


def _row(name: str, value_us: float, reference_us: float | None, bound_us: float | None) -> Row:
    return {
        "name": name,
        "value": round(value_us, 2),
        "unit": "us",
        "reference": None if reference_us is None else round(reference_us, 2),
        "ratio": None if reference_us is None else round(value_us / reference_us, 2),
        "bound": None if bound_us is None else f"< {bound_us:g} us",
        "holds": bound_us is None or value_us < bound_us,
    }
