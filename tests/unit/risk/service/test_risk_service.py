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
    world = RiskHarness()
    (opened,) = appended(world.started)
    assert isinstance(opened, RiskStarted)
    assert (opened.account, opened.version) == (ACCOUNT, "0")
    assert [one.state for one in published(world.started)] == [TradingState.HALTED]


def test_an_approval_is_recorded_then_sent_then_replied_then_published() -> None:
    world = RiskHarness().activate()
    verdict, effects = world.request_approval(fresh_intent(world))
    assert verdict.allowed
    assert [type(one) for one in effects] == [Append, SendCommand, Reply, ObserveLatency, Publish]
    assert verdict.sequence == len(world.log)


def test_a_sent_frame_verifies_with_the_key_and_names_its_record() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    verdict, effects = world.request_approval(intent)
    (frame,) = sent_frames(effects)
    signal = open_command(frame, KEY, ACCOUNT, world.now_ns)
    assert isinstance(signal, Signal)
    assert isinstance(signal.stage, Approved)
    assert signal.intent == intent
    assert signal.stage.terms.state_sequence == verdict.sequence


def test_a_refusal_is_recorded_replied_and_logged_but_never_sent() -> None:
    world = RiskHarness().activate()
    verdict, effects = world.request_approval(fresh_intent(world, limit_price="200"))
    assert not verdict.allowed
    assert [type(one) for one in effects] == [Append, Reply, ObserveLatency, LogEvent]
    assert [one.name for one in verdict.checks if not one.passed] == [CheckName.PRICE_COLLAR]


def test_nothing_is_allowed_before_there_is_evidence() -> None:
    world = RiskHarness()
    verdict, _ = world.request_approval(fresh_intent(world))
    refused = {one.name for one in verdict.checks if not one.passed}
    assert refused >= {
        CheckName.TRADING_STATE,
        CheckName.BOOK_STATE,
        CheckName.QUOTE_AGE,
        CheckName.SPREAD,
        CheckName.PRICE_COLLAR,
    }


def test_a_decision_stores_the_inputs_it_was_made_on() -> None:
    world = RiskHarness().activate()
    world.request_approval(fresh_intent(world))
    decision = world.log[-1]
    assert isinstance(decision, Decision)
    assert (decision.inputs.bid_price, decision.inputs.ask_price) == (Decimal("99.98"), Decimal("100.02"))
    assert decision.inputs.now_ns == world.now_ns
    assert decision.inputs.quote_offset is not None


def test_a_duplicate_request_gets_the_identical_reply_and_no_second_record() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    first, _ = world.request_approval(intent)
    length = len(world.log)
    world.lose_stream("market")
    world.now_ns += 60_000 * MS
    again, effects = world.request_approval(intent)
    assert again == first
    assert [type(one) for one in effects] == [Reply]
    assert len(world.log) == length + 1


def test_a_refusal_is_cached_too() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    world.lose_stream("market")
    first, _ = world.request_approval(intent)
    world.sync_market()
    assert world.request_approval(intent)[0] == first


def test_the_reply_is_the_same_after_a_restart() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    first, _ = world.request_approval(intent)
    again, effects = world.restarted().request_approval(intent)
    assert again == first
    assert [type(one) for one in effects] == [Reply]


def test_another_intent_under_a_used_id_is_refused_and_the_first_reply_is_kept() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    first, _ = world.request_approval(intent)
    other, effects = world.request_approval(replace(intent, quantity=Decimal(11)))
    assert not other.allowed
    assert not sent_frames(effects)
    assert world.request_approval(intent)[0] == first


def test_while_stopping_entries_are_refused_and_replies_still_sent() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    first, _ = world.request_approval(intent)
    world.service.on_stop(world.now_ns)
    verdict, _ = world.request_approval(fresh_intent(world, "late", limit_price="100.01"))
    assert [one.observed for one in verdict.checks if not one.passed] == ["stopping"]
    assert world.request_approval(intent)[0] == first


def test_an_exit_is_approved_while_reducing_and_an_entry_is_not() -> None:
    world = RiskHarness().activate()
    world.order_event(a_fill(None, "10", "100"))
    world.lose_stream("market")
    assert world.state.trading_state is TradingState.REDUCING
    assert world.request_approval(an_exit(created_at_ns=world.now_ns))[0].allowed
    assert not world.request_approval(fresh_intent(world))[0].allowed


def test_a_malformed_request_gets_a_reply() -> None:
    answer, _ = RiskHarness().request("what?")
    assert answer == MalformedRequest("risk answers no str")


def test_an_input_that_risk_never_receives_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="risk hears no Fed"):
        RiskHarness().receive(VenueEvent(1))


def test_an_order_event_is_recorded_once_and_changes_the_position() -> None:
    world = RiskHarness().activate()
    effects = world.order_event(a_fill(None, "10", "100"))
    (record,) = appended(effects)
    assert record.place.sequence == world.last_order_sequence
    assert [(one.symbol, one.quantity) for one in published(effects) if isinstance(one, Position)] == [
        (AAPL, Decimal(10))
    ]
    world.last_order_sequence -= 1
    assert world.order_event(a_fill(None, "10", "100")) == []
    assert world.state.positions() == {AAPL: Decimal(10)}


def test_a_gap_in_the_order_events_is_a_bug_of_the_bus() -> None:
    world = RiskHarness().activate()
    world.last_order_sequence += 1
    with pytest.raises(InvariantError, match="order event 3 after 1"):
        world.order_event(a_fill(None, "10", "100"))


def test_an_approval_missing_from_the_log_ends_the_process() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    world.request_approval(intent)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    shorter = RiskHarness(world.log[:-1], now_ns=world.now_ns).activate()
    (halt,) = shorter.order_event(intent_received(intent, terms))
    assert isinstance(halt, Terminate)
    assert isinstance(halt.error, CorruptData)
    assert f"{intent.intent_id}, approved by record {terms.state_sequence}" in str(halt.error)


def test_an_approval_under_other_terms_than_ours_ends_the_process_too() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    world.request_approval(intent)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    (halt,) = world.order_event(intent_received(intent, replace(terms, state_sequence=2)))
    assert isinstance(halt, Terminate)


def test_a_control_from_beyond_our_log_ends_the_process() -> None:
    world = RiskHarness().activate()
    intent = fresh_intent(world)
    world.request_approval(intent)
    terms = world.state.orders[intent.intent_id].terms
    assert terms is not None
    control = CancelAll(CommandId("c-1"), "")
    assert world.order_event(ControlReceived(control, replace(terms, state_sequence=len(world.log)), world.now_ns))
    beyond = replace(terms, state_sequence=len(world.log) + 1)
    (halt,) = world.order_event(ControlReceived(control, beyond, world.now_ns))
    assert isinstance(halt, Terminate)


def test_the_pnl_is_published_once_a_second_when_it_has_changed() -> None:
    world = RiskHarness().activate()
    world.order_event(a_fill(None, "10", "100"))
    told = [one for one in published(world.wait(1_000)) if isinstance(one, ProfitAndLoss)]
    assert told == []
    world.quote(bid="100.98", ask="101.02")
    told = [one for one in published(world.tick(1_000)) if isinstance(one, ProfitAndLoss)]
    assert [(one.realised, one.unrealised) for one in told] == [(Decimal(0), Decimal(10))]
    assert published(world.tick(500)) == []


def test_a_new_subscriber_gets_positions_pnl_and_status() -> None:
    world = RiskHarness().activate()
    world.order_event(a_fill(None, "10", "100"))
    position, result, status = world.service.snapshot(POSITIONS)
    assert isinstance(position, Position)
    assert isinstance(result, ProfitAndLoss)
    assert status == TradingStatus(TradingState.ACTIVE, (), status.at_ns)
    with pytest.raises(InvariantError):
        world.service.snapshot(MARKET)


def test_an_account_query_returns_the_state() -> None:
    world = RiskHarness().activate()
    working, unknown, outbox = (fresh_intent(world, name, limit_price=f"100.0{n}") for n, name in enumerate("wuo"))
    for intent in (working, unknown, outbox):
        world.request_approval(intent)
    world.order_event(a_fill(None, "10", "100"))
    world.order_event(an_update(working, OrderState.OPEN))
    world.order_event(an_update(unknown, OrderState.UNKNOWN))
    world.lose_stream("market")
    answer, _ = world.request(AccountQuery("r"))
    assert isinstance(answer, AccountSnapshot)
    assert (answer.working, answer.unknown, answer.outbox) == (("w-0",), ("u-0",), ("o-0",))
    assert answer.positions == (AccountPosition(AAPL, Decimal(10), Decimal(100)),)
    assert (answer.state, answer.sequence) == (TradingState.REDUCING, len(world.log))
    assert answer.causes == (Cause.BUS_GAP,)


def test_decisions_and_rejections_are_counted() -> None:
    world = RiskHarness().activate()
    world.request_approval(fresh_intent(world))
    world.request_approval(fresh_intent(world, "no", limit_price="200"))
    world.tick(1_000)
    page = world.metrics.exposition().decode()
    assert 'xtrader_risk_decisions_total{allowed="true"} 1.0' in page
    assert 'xtrader_risk_refusals_total{code="price_collar"} 1.0' in page
    assert "xtrader_risk_outbox_orders 1.0" in page
    assert "xtrader_risk_trading_state 0.0" in page
