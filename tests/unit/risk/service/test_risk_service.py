"""The whole service: what it replies, records, sends and publishes, and in which order."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from components.contracts.approval import open_command
from components.contracts.commands import CancelAll
from components.contracts.decisions import (
    AccountPosition,
    AccountQuery,
    AccountSnapshot,
    CheckName,
    Decision,
    MalformedRequest,
    RiskStarted,
)
from components.contracts.errors import CorruptData, InvariantError
from components.contracts.orders import ControlReceived, OrderState
from components.contracts.signals import Approved, Signal
from components.contracts.streams import MARKET, POSITIONS
from components.contracts.trading import Cause, Position, ProfitAndLoss, TradingState, TradingStatus
from components.contracts.values import CommandId
from components.runtime.service import (
    Append,
    LogEvent,
    ObserveLatency,
    Publish,
    Reply,
    SendCommand,
    Terminate,
    VenueEvent,
)
from tests.support.risk_harness import (
    AAPL,
    ACCOUNT,
    KEY,
    MS,
    RiskHarness,
    a_fill,
    an_exit,
    an_update,
    appended,
    fresh_intent,
    intent_received,
    published,
    sent_frames,
)


def test_a_start_records_limits_and_build_and_publishes_halted() -> None:
    harness = RiskHarness()
    (opened,) = appended(harness.started)
    assert isinstance(opened, RiskStarted)
    assert (opened.account, opened.version) == (ACCOUNT, "0")
    assert [one.state for one in published(harness.started)] == [TradingState.HALTED]


def test_an_approval_is_recorded_then_sent_then_replied_then_published() -> None:
    harness = RiskHarness().activate()
    verdict, effects = harness.request_approval(fresh_intent(harness))
    assert verdict.allowed
    assert [type(one) for one in effects] == [Append, SendCommand, Reply, ObserveLatency, Publish]
    assert verdict.sequence == len(harness.log)


def test_a_sent_frame_verifies_with_the_key_and_names_its_record() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    verdict, effects = harness.request_approval(intent)
    (frame,) = sent_frames(effects)
    signal = open_command(frame, KEY, ACCOUNT, harness.now_ns)
    assert isinstance(signal, Signal)
    assert isinstance(signal.stage, Approved)
    assert signal.intent == intent
    assert signal.stage.terms.state_sequence == verdict.sequence


def test_a_refusal_is_recorded_replied_and_logged_but_never_sent() -> None:
    harness = RiskHarness().activate()
    verdict, effects = harness.request_approval(fresh_intent(harness, limit_price="200"))
    assert not verdict.allowed
    assert [type(one) for one in effects] == [Append, Reply, ObserveLatency, LogEvent]
    assert [one.name for one in verdict.checks if not one.passed] == [CheckName.PRICE_COLLAR]


def test_nothing_is_allowed_before_there_is_evidence() -> None:
    harness = RiskHarness()
    verdict, _ = harness.request_approval(fresh_intent(harness))
    refused = {one.name for one in verdict.checks if not one.passed}
    assert refused >= {
        CheckName.TRADING_STATE,
        CheckName.BOOK_STATE,
        CheckName.QUOTE_AGE,
        CheckName.SPREAD,
        CheckName.PRICE_COLLAR,
    }


def test_a_decision_stores_the_inputs_it_was_made_on() -> None:
    harness = RiskHarness().activate()
    harness.request_approval(fresh_intent(harness))
    decision = harness.log[-1]
    assert isinstance(decision, Decision)
    assert (decision.inputs.bid_price, decision.inputs.ask_price) == (Decimal("99.98"), Decimal("100.02"))
    assert decision.inputs.now_ns == harness.now_ns
    assert decision.inputs.quote_offset is not None


def test_a_duplicate_request_gets_the_identical_reply_and_no_second_record() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    first, _ = harness.request_approval(intent)
    length = len(harness.log)
    harness.lose_stream("market")
    harness.now_ns += 60_000 * MS
    again, effects = harness.request_approval(intent)
    assert again == first
    assert [type(one) for one in effects] == [Reply]
    assert len(harness.log) == length + 1


def test_a_refusal_is_cached_too() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    harness.lose_stream("market")
    first, _ = harness.request_approval(intent)
    harness.sync_market()
    assert harness.request_approval(intent)[0] == first


def test_the_reply_is_the_same_after_a_restart() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    first, _ = harness.request_approval(intent)
    again, effects = harness.restarted().request_approval(intent)
    assert again == first
    assert [type(one) for one in effects] == [Reply]


def test_another_intent_under_a_used_id_is_refused_and_the_first_reply_is_kept() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    first, _ = harness.request_approval(intent)
    other, effects = harness.request_approval(replace(intent, quantity=Decimal(11)))
    assert not other.allowed
    assert not sent_frames(effects)
    assert harness.request_approval(intent)[0] == first


def test_while_stopping_entries_are_refused_and_replies_still_sent() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    first, _ = harness.request_approval(intent)
    harness.service.on_stop(harness.now_ns)
    verdict, _ = harness.request_approval(fresh_intent(harness, "late", limit_price="100.01"))
    assert [one.observed for one in verdict.checks if not one.passed] == ["stopping"]
    assert harness.request_approval(intent)[0] == first


def test_an_exit_is_approved_while_reducing_and_an_entry_is_not() -> None:
    harness = RiskHarness().activate()
    harness.order_event(a_fill(None, "10", "100"))
    harness.lose_stream("market")
    assert harness.state.trading_state is TradingState.REDUCING
    assert harness.request_approval(an_exit(created_at_ns=harness.now_ns))[0].allowed
    assert not harness.request_approval(fresh_intent(harness))[0].allowed


def test_a_malformed_request_gets_a_reply() -> None:
    answer, _ = RiskHarness().request("what?")
    assert answer == MalformedRequest("unknown request str")


def test_an_input_that_risk_never_receives_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="unexpected input VenueEvent"):
        RiskHarness().receive(VenueEvent(1))


def test_an_order_event_is_recorded_once_and_changes_the_position() -> None:
    harness = RiskHarness().activate()
    effects = harness.order_event(a_fill(None, "10", "100"))
    (record,) = appended(effects)
    assert record.offset.sequence == harness.last_order_sequence
    assert [(one.symbol, one.quantity) for one in published(effects) if isinstance(one, Position)] == [
        (AAPL, Decimal(10))
    ]
    harness.last_order_sequence -= 1
    assert harness.order_event(a_fill(None, "10", "100")) == []
    assert harness.state.positions() == {AAPL: Decimal(10)}


def test_a_gap_in_the_order_events_is_a_bug_of_the_bus() -> None:
    harness = RiskHarness().activate()
    harness.last_order_sequence += 1
    with pytest.raises(InvariantError, match="order event 3 after 1"):
        harness.order_event(a_fill(None, "10", "100"))


def test_an_approval_missing_from_the_log_ends_the_process() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    harness.request_approval(intent)
    terms = harness.state.orders[intent.intent_id].terms
    assert terms is not None
    shorter = RiskHarness(harness.log[:-1], now_ns=harness.now_ns).activate()
    (halt,) = shorter.order_event(intent_received(intent, terms))
    assert isinstance(halt, Terminate)
    assert isinstance(halt.error, CorruptData)
    assert f"{intent.intent_id}, approved by record {terms.state_sequence}" in str(halt.error)


def test_an_approval_under_other_terms_than_ours_ends_the_process_too() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    harness.request_approval(intent)
    terms = harness.state.orders[intent.intent_id].terms
    assert terms is not None
    (halt,) = harness.order_event(intent_received(intent, replace(terms, state_sequence=2)))
    assert isinstance(halt, Terminate)


def test_a_control_from_beyond_our_log_ends_the_process() -> None:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    harness.request_approval(intent)
    terms = harness.state.orders[intent.intent_id].terms
    assert terms is not None
    control = CancelAll(CommandId("c-1"), "")
    assert harness.order_event(
        ControlReceived(control, replace(terms, state_sequence=len(harness.log)), harness.now_ns)
    )
    beyond = replace(terms, state_sequence=len(harness.log) + 1)
    (halt,) = harness.order_event(ControlReceived(control, beyond, harness.now_ns))
    assert isinstance(halt, Terminate)


def test_the_pnl_is_published_once_a_second_when_it_has_changed() -> None:
    harness = RiskHarness().activate()
    harness.order_event(a_fill(None, "10", "100"))
    pnls = [one for one in published(harness.wait(1_000)) if isinstance(one, ProfitAndLoss)]
    assert pnls == []
    harness.quote(bid="100.98", ask="101.02")
    pnls = [one for one in published(harness.tick(1_000)) if isinstance(one, ProfitAndLoss)]
    assert [(one.realised, one.unrealised) for one in pnls] == [(Decimal(0), Decimal(10))]
    assert published(harness.tick(500)) == []


def test_a_new_subscriber_gets_positions_pnl_and_status() -> None:
    harness = RiskHarness().activate()
    harness.order_event(a_fill(None, "10", "100"))
    position, result, status = harness.service.snapshot(POSITIONS)
    assert isinstance(position, Position)
    assert isinstance(result, ProfitAndLoss)
    assert status == TradingStatus(TradingState.ACTIVE, (), status.at_ns)
    with pytest.raises(InvariantError):
        harness.service.snapshot(MARKET)


def test_an_account_query_returns_the_state() -> None:
    harness = RiskHarness().activate()
    working, unknown, outbox = (fresh_intent(harness, name, limit_price=f"100.0{n}") for n, name in enumerate("wuo"))
    for intent in (working, unknown, outbox):
        harness.request_approval(intent)
    harness.order_event(a_fill(None, "10", "100"))
    harness.order_event(an_update(working, OrderState.OPEN))
    harness.order_event(an_update(unknown, OrderState.UNKNOWN))
    harness.lose_stream("market")
    answer, _ = harness.request(AccountQuery("r"))
    assert isinstance(answer, AccountSnapshot)
    assert (answer.working, answer.unknown, answer.outbox) == (("w-0",), ("u-0",), ("o-0",))
    assert answer.positions == (AccountPosition(AAPL, Decimal(10), Decimal(100)),)
    assert (answer.state, answer.sequence) == (TradingState.REDUCING, len(harness.log))
    assert answer.causes == (Cause.BUS_GAP,)


def test_decisions_and_rejections_are_counted() -> None:
    harness = RiskHarness().activate()
    harness.request_approval(fresh_intent(harness))
    harness.request_approval(fresh_intent(harness, "no", limit_price="200"))
    harness.tick(1_000)
    page = harness.metrics.exposition().decode()
    assert 'xtrader_risk_decisions_total{allowed="true"} 1.0' in page
    assert 'xtrader_risk_failed_checks_total{code="price_collar"} 1.0' in page
    assert "xtrader_risk_outbox_orders 1.0" in page
    assert "xtrader_risk_trading_state 0.0" in page
