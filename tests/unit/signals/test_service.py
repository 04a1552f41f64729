"""What signals requests from risk, and everything that prevents a request."""

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from components.contracts.decisions import (
    ApprovalReply,
    ApprovalRequest,
    CheckName,
    CheckResult,
    MalformedRequest,
    OperatorReply,
)
from components.contracts.errors import InvariantError
from components.contracts.market import BookState, FeedHealth, FeedState, Quote, SymbolHealth, Trade
from components.contracts.protocol import FrameKind, Header
from components.contracts.signals import Intent, Purpose
from components.contracts.streams import MARKET, POSITIONS, RISK_REQUESTS, Stream
from components.contracts.trading import Position, ProfitAndLoss
from components.contracts.values import (
    ZERO,
    CommandId,
    IntentId,
    Side,
    StrategyId,
    StreamOffset,
    Symbol,
    TimeInForce,
    Venue,
)
from components.runtime.metrics import Metrics
from components.runtime.service import (
    Effect,
    LogEvent,
    MessageReceived,
    ReplyReceived,
    Request,
    RequestTimedOut,
    StreamLost,
    StreamSynced,
    VenueEvent,
)
from components.signals.core.features import WARM_UP_QUOTES
from components.signals.core.strategy import SignalSettings, StrategySettings
from components.signals.service import SignalsService
from tests.support.fake_model import CARD, DOWN, FLAT, UP, FakeModel
from tests.support.metric_samples import metric_value

AAPL, MSFT = Symbol("AAPL"), Symbol("MSFT")
MS = 1_000_000
T0 = 1_700_000_000_000_000_000
VENUE = Venue("alpaca")
TERMS = SignalSettings(
    strategy=StrategyId("demo"),
    run_id="nmaohcnc4oy2q",
    quote_age_ms_max=1_000,
    signal_ttl_ms=2_000,
    approval_timeout_ms=800,
    symbols_max=3,
    venue=VENUE,
)
SETTINGS = StrategySettings(
    edge_enter_min=0.3,
    edge_exit_min=0.3,
    cool_down_ms=3_000,
    quantity=Decimal(1),
    position_max=Decimal(3),
    price_offset_bps=Decimal(2),
    time_in_force=TimeInForce.IOC,
    short_allowed=False,
)


class SignalsHarness:
    """A service with a model whose outputs the test sets, and two input streams."""

    def __init__(self, answer: tuple[float, ...] = UP) -> None:
        self.metrics = Metrics("signals", "test")
        self.model = FakeModel(answer)
        self.service = SignalsService(self.model, SETTINGS, TERMS, self.metrics)
        self.now_ns = T0
        self.sequence = 0
        self.service.on_start(T0)

    def receive(self, stream: Stream, body: Any) -> list[Effect]:
        self.sequence += 1
        header = Header(1, FrameKind.MESSAGE, stream.producer, "e1", self.sequence, T0, self.now_ns - MS, self.now_ns)
        return list(self.service.on_message(MessageReceived(stream, header, body), self.now_ns))

    def join(self, stream: Stream, *messages: Any) -> list[Effect]:
        joined = StreamSynced(stream, stream.producer, StreamOffset(stream.name, "e1", self.sequence), messages)
        return list(self.service.on_message(joined, self.now_ns))

    def lose(self, stream: Stream) -> list[Effect]:
        return list(self.service.on_message(StreamLost(stream, stream.producer, 3, "gap"), self.now_ns))

    def quote(self, symbol: Symbol = AAPL, **changes: Any) -> list[Effect]:
        quote = Quote(
            VENUE, symbol, Decimal("189.99"), Decimal(200), Decimal("190.01"), Decimal(300), T0, self.now_ns - MS
        )
        return self.receive(MARKET, replace(quote, **changes))

    def warm(self, symbol: Symbol = AAPL) -> None:
        for _ in range(WARM_UP_QUOTES - 1):
            assert not requested_intents(self.quote(symbol))

    def wait(self, milliseconds: int) -> None:
        self.now_ns += milliseconds * MS

    def answer(self, intent: Intent, *, allowed: bool = True, checked: tuple[CheckResult, ...] = ()) -> list[Effect]:
        verdict = ApprovalReply(intent.intent_id, allowed, checked, 7)
        return list(self.service.on_message(ReplyReceived(intent.intent_id, verdict), self.now_ns))


def requested_intents(effects: Iterable[Effect]) -> list[Intent]:
    return [effect.body.intent for effect in effects if isinstance(effect, Request)]


def health(symbol: Symbol, state: BookState = BookState.SYNCED) -> SymbolHealth:
    return SymbolHealth(VENUE, symbol, state, "test", T0)


def held(quantity: int, symbol: Symbol = AAPL) -> Position:
    return Position(symbol, Decimal(quantity), Decimal(190), ZERO, ZERO, ZERO, T0)


@pytest.fixture
def harness() -> SignalsHarness:
    made = SignalsHarness()
    made.join(POSITIONS)
    made.join(MARKET, health(AAPL), health(MSFT))
    return made


@pytest.fixture
def warm(harness: SignalsHarness) -> SignalsHarness:
    harness.warm()
    return harness


def test_a_warm_symbol_with_a_positive_edge_is_bought(warm: SignalsHarness) -> None:
    (request,) = warm.quote()
    assert isinstance(request, Request)
    assert isinstance(request.body, ApprovalRequest)
    intent = request.body.intent
    assert (request.stream, request.request_id, request.deadline_ms) == (RISK_REQUESTS, intent.intent_id, 800)
    assert (intent.symbol, intent.side, intent.purpose) == (AAPL, Side.BUY, Purpose.ENTRY)
    assert (intent.quantity, intent.limit_price, intent.time_in_force) == (
        Decimal(1),
        Decimal("190.04"),
        TimeInForce.IOC,
    )


def test_an_intent_carries_its_times_and_an_id_unique_to_this_run(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    assert intent.signal_id == "demo-nmaohcnc4oy2q-1"
    assert (intent.tick_at_ns, intent.created_at_ns) == (warm.now_ns - MS, warm.now_ns)
    assert intent.expires_at_ns == warm.now_ns + 2_000 * MS


def test_an_intent_carries_its_features_and_prediction(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    evidence = intent.provenance
    assert (evidence.model_hash, evidence.schema_hash) == (CARD.file_hash, CARD.schema_hash)
    assert (evidence.features, evidence.prediction) == (warm.model.inputs[-1], UP)
    assert evidence.input_offsets == (StreamOffset("market", "e1", 1), StreamOffset("market", "e1", WARM_UP_QUOTES))
    assert evidence.book_state is BookState.SYNCED


def test_the_same_quotes_give_the_same_bytes() -> None:
    def play() -> list[Intent]:
        harness = SignalsHarness()
        harness.join(POSITIONS)
        harness.join(MARKET, health(AAPL))
        harness.warm()
        return requested_intents(harness.quote())

    assert play() == play()


def test_one_request_per_symbol_is_in_flight_at_a_time(warm: SignalsHarness) -> None:
    assert requested_intents(warm.quote())
    warm.wait(10_000)
    assert not requested_intents(warm.quote())


def test_another_symbol_need_not_wait(warm: SignalsHarness) -> None:
    warm.warm(MSFT)
    assert requested_intents(warm.quote())
    assert requested_intents(warm.quote(MSFT))


def test_after_a_reply_the_symbol_cools_down(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    warm.answer(intent)
    warm.wait(2_999)
    assert not requested_intents(warm.quote())
    warm.wait(1)
    (second,) = requested_intents(warm.quote())
    assert second.signal_id == "demo-nmaohcnc4oy2q-2"


def test_a_clock_that_is_set_back_does_not_extend_the_cool_down(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    warm.answer(intent)
    warm.wait(-60_000)
    assert requested_intents(warm.quote())


def test_a_position_is_sold_on_a_negative_edge(warm: SignalsHarness) -> None:
    warm.model.prediction = DOWN
    assert not requested_intents(warm.quote())
    warm.receive(POSITIONS, held(2))
    (intent,) = requested_intents(warm.quote())
    assert (intent.side, intent.purpose, intent.quantity, intent.limit_price) == (
        Side.SELL,
        Purpose.EXIT,
        Decimal(2),
        Decimal("189.96"),
    )


def test_a_position_of_the_snapshot_counts_too() -> None:
    harness = SignalsHarness(DOWN)
    harness.join(POSITIONS, ProfitAndLoss(ZERO, ZERO, T0), held(1))
    harness.join(MARKET, health(AAPL))
    harness.warm()
    assert requested_intents(harness.quote())


def test_a_flat_prediction_proposes_nothing(warm: SignalsHarness) -> None:
    warm.model.prediction = FLAT
    assert not requested_intents(warm.quote())
    assert metric_value(warm.metrics, "signals_predictions_total") == 1


@pytest.mark.parametrize("state", [state for state in BookState if state is not BookState.SYNCED])
def test_a_book_that_is_not_in_sync_is_not_traded_on(warm: SignalsHarness, state: BookState) -> None:
    warm.receive(MARKET, health(AAPL, state))
    assert not requested_intents(warm.quote())


def test_after_a_gap_the_features_start_again(warm: SignalsHarness) -> None:
    warm.receive(MARKET, health(AAPL, BookState.GAP))
    warm.receive(MARKET, health(AAPL))
    warm.warm()
    (intent,) = requested_intents(warm.quote())
    assert intent.provenance.input_offsets[0].sequence == WARM_UP_QUOTES + 2


@pytest.mark.parametrize("state", [BookState.STALE, BookState.CROSSED, BookState.SYNCING])
def test_a_stale_book_keeps_its_features(warm: SignalsHarness, state: BookState) -> None:
    warm.receive(MARKET, health(AAPL, state))
    warm.receive(MARKET, health(AAPL))
    assert requested_intents(warm.quote())


@pytest.mark.parametrize(
    "changes",
    [
        {"bid_price": ZERO},
        {"ask_size": ZERO},
        {"bid_price": Decimal("190.01")},
        {"ask_price": Decimal("1e400")},
        {"bid_size": Decimal("1e400")},
        {"bid_price": Decimal("1e-400"), "ask_price": Decimal("2e-400")},
    ],
)
def test_a_quote_without_a_price_is_ignored(warm: SignalsHarness, changes: dict[str, Any]) -> None:
    assert not requested_intents(warm.quote(**changes))
    assert requested_intents(warm.quote())


def test_a_quote_received_too_late_is_not_traded_on(warm: SignalsHarness) -> None:
    assert not requested_intents(warm.quote(received_at_ns=warm.now_ns - 1_001 * MS))
    assert requested_intents(warm.quote(received_at_ns=warm.now_ns - 1_000 * MS))


@pytest.mark.parametrize("stream", [MARKET, POSITIONS])
def test_a_lost_stream_stops_all_signals_until_it_is_synced(warm: SignalsHarness, stream: Stream) -> None:
    warm.lose(stream)
    assert not requested_intents(warm.quote())
    assert warm.service.unmet(warm.now_ns) == (f"{stream.name}: gap",)
    warm.join(stream, health(AAPL))
    if stream is MARKET:
        warm.warm()
    assert requested_intents(warm.quote())
    assert metric_value(warm.metrics, "signals_stream_losses_total", stream=stream.name) == 1


def test_a_resynced_market_is_trusted_only_as_its_snapshot_reports(warm: SignalsHarness) -> None:
    warm.lose(MARKET)
    warm.join(MARKET, health(MSFT))
    warm.warm()
    assert not requested_intents(warm.quote())


def test_a_resynced_positions_stream_drops_positions_missing_from_its_snapshot(warm: SignalsHarness) -> None:
    warm.receive(POSITIONS, held(2))
    warm.lose(POSITIONS)
    warm.join(POSITIONS)
    warm.model.prediction = DOWN
    assert not requested_intents(warm.quote())


def test_readiness_waits_for_both_streams() -> None:
    harness = SignalsHarness()
    assert harness.service.unmet(T0) == ("market: not synced yet", "positions: not synced yet")
    harness.join(MARKET)
    harness.join(POSITIONS)
    assert harness.service.unmet(T0) == ()


@pytest.mark.parametrize("answer", [(math.nan, 0.5, 0.5), (0.9, 0.9, 0.9), (1.0,), (-0.5, 0.5, 1.0)])
def test_an_invalid_prediction_is_counted_and_proposes_nothing(warm: SignalsHarness, answer: tuple[float, ...]) -> None:
    warm.model.prediction = answer
    assert not requested_intents(warm.quote())
    assert metric_value(warm.metrics, "signals_invalid_predictions_total") == 1


def test_every_failed_check_is_counted_by_its_name(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    checked = (
        CheckResult(CheckName.QUOTE_AGE, "9", "5", passed=False),
        CheckResult(CheckName.POSITION, "1", "5", passed=True),
        CheckResult(CheckName.ORDER_RATE, "9", "5", passed=False),
    )
    (note,) = warm.answer(intent, allowed=False, checked=checked)
    assert isinstance(note, LogEvent)
    assert note.fields["failed_checks"] == [CheckName.QUOTE_AGE, CheckName.ORDER_RATE]
    assert metric_value(warm.metrics, "signals_replies_total", outcome="quote_age") == 1
    assert metric_value(warm.metrics, "signals_replies_total", outcome="position") == 0


def test_a_timeout_is_counted_and_nothing_assumed(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    warm.service.on_message(RequestTimedOut(intent.intent_id), warm.now_ns)
    assert metric_value(warm.metrics, "signals_replies_total", outcome="timed_out") == 1
    assert warm.service.is_drained()
    warm.wait(3_000)
    assert requested_intents(warm.quote())


def test_a_reply_after_the_timeout_is_ignored(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    warm.service.on_message(RequestTimedOut(intent.intent_id), warm.now_ns)
    assert warm.answer(intent) == []


def test_a_request_that_risk_calls_malformed_is_logged(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    (note,) = warm.service.on_message(ReplyReceived(intent.intent_id, MalformedRequest("what?")), warm.now_ns)
    assert isinstance(note, LogEvent)
    assert (note.event, note.level) == ("signal_malformed", "warning")


def test_stopping_sends_nothing_and_waits_for_requests_in_flight(warm: SignalsHarness) -> None:
    warm.warm(MSFT)
    (intent,) = requested_intents(warm.quote())
    warm.service.on_stop(warm.now_ns)
    assert not requested_intents(warm.quote(MSFT))
    assert not warm.service.is_drained()
    warm.answer(intent)
    assert warm.service.is_drained()


def test_symbols_past_the_bound_are_ignored(harness: SignalsHarness) -> None:
    harness.quote(Symbol("TSLA"))
    for _ in range(WARM_UP_QUOTES + 1):
        assert not requested_intents(harness.quote(Symbol("SPY")))
    harness.receive(MARKET, Trade(VENUE, Symbol("SPY"), Decimal(1), Decimal(1), T0, T0))


def test_irrelevant_messages_change_nothing(warm: SignalsHarness) -> None:
    warm.receive(MARKET, FeedHealth(VENUE, FeedState.DOWN, "test", T0))
    warm.receive(MARKET, Trade(VENUE, AAPL, Decimal("190.01"), Decimal(10), T0, T0))
    assert requested_intents(warm.quote())


def test_an_impossible_input_is_a_bug(warm: SignalsHarness) -> None:
    (intent,) = requested_intents(warm.quote())
    answer = OperatorReply(CommandId("c"), done=True, detail="")
    with pytest.raises(InvariantError):
        warm.service.on_message(ReplyReceived(intent.intent_id, answer), warm.now_ns)
    with pytest.raises(InvariantError):
        warm.service.on_message(VenueEvent("x"), warm.now_ns)
    with pytest.raises(InvariantError):
        warm.service.snapshot(MARKET)


def test_a_reply_to_no_request_is_ignored(harness: SignalsHarness) -> None:
    verdict = ApprovalReply(IntentId("demo-x-1-0"), allowed=True, checks=(), sequence=1)
    assert harness.service.on_message(ReplyReceived("demo-x-1-0", verdict), T0) == ()
