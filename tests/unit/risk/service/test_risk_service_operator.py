"""What an operator may do: halt, resume in two steps, cancel everything."""

from components.contracts.commands import CancelAll, SetTradingState, Withdraw
from components.contracts.decisions import CauseCleared, OperatorAction, OperatorCommand
from components.contracts.orders import OrderState
from components.contracts.trading import Cause, TradingState
from components.contracts.values import CommandId
from tests.support.risk_harness import (
    AAPL,
    RiskHarness,
    a_fill,
    an_update,
    fresh_intent,
    intent_received,
    sent_controls,
    sent_frames,
)


def ask(name: str, action: OperatorAction, reason: str = "") -> OperatorCommand:
    return OperatorCommand(CommandId(name), action, reason)


def halted() -> RiskHarness:
    harness = RiskHarness().activate()
    answer, _ = harness.operate(ask("1", OperatorAction.HALT, "lunch"))
    assert answer.done
    return harness


def test_a_halt_is_latched_and_sent_to_execution() -> None:
    harness = RiskHarness().activate()
    answer, effects = harness.operate(ask("1", OperatorAction.HALT, "lunch"))
    assert (answer.done, answer.detail) == (True, "halt: halted")
    assert harness.state.causes == {Cause.OPERATOR_HALT: "lunch"}
    assert [type(one) for one in sent_controls(effects)] == [SetTradingState, CancelAll]
    assert harness.restarted().activate().state.trading_state is TradingState.HALTED


def test_a_halt_withdraws_unsent_orders_only() -> None:
    harness = RiskHarness().activate()
    intents = [fresh_intent(harness, name, limit_price=f"100.0{n}") for n, name in enumerate("aro")]
    for intent in intents:
        harness.request_approval(intent)
    _, at_execution, working = intents
    for intent in (at_execution, working):
        terms = harness.state.orders[intent.intent_id].terms
        assert terms is not None
        harness.order_event(intent_received(intent, terms))
    harness.order_event(an_update(working, OrderState.OPEN))
    _, effects = harness.operate(ask("1", OperatorAction.HALT, "lunch"))
    assert [one.intent_id for one in sent_controls(effects) if isinstance(one, Withdraw)] == ["a-0", "r-0"]


def test_a_halt_is_repeated_after_a_restart_and_whenever_execution_comes_back() -> None:
    harness = RiskHarness().activate()
    harness.request_approval(fresh_intent(harness))
    harness.operate(ask("1", OperatorAction.HALT, "lunch"))
    again = harness.restarted()
    for _ in range(2):
        assert [type(one) for one in sent_controls(again.sync_orders())] == [SetTradingState, Withdraw, CancelAll]
        again.lose_stream("orders")


def test_a_halt_needs_a_reason() -> None:
    harness = RiskHarness().activate()
    answer, effects = harness.operate(ask("1", OperatorAction.HALT))
    assert not answer.done
    assert not sent_frames(effects)
    assert harness.state.causes == {}


def test_a_second_halt_is_executed_and_not_recorded_twice() -> None:
    harness = halted()
    length = len(harness.log)
    answer, effects = harness.operate(ask("2", OperatorAction.HALT, "still"))
    assert answer.done
    assert len(harness.log) == length
    assert [type(one) for one in sent_controls(effects)] == [CancelAll]


def test_a_duplicate_request_has_one_effect_and_the_same_reply() -> None:
    harness = RiskHarness().activate()
    first, _ = harness.operate(ask("1", OperatorAction.CANCEL_ALL, "tidy up"))
    again, effects = harness.operate(ask("1", OperatorAction.CANCEL_ALL, "tidy up"))
    assert again == first
    assert not sent_frames(effects)


def test_resume_without_a_reason_lists_what_it_would_clear_and_clears_nothing() -> None:
    harness = halted()
    answer, _ = harness.operate(ask("2", OperatorAction.RESUME))
    assert (answer.done, answer.detail) == (False, "would clear operator_halt (lunch); give a reason to clear it")
    assert harness.state.trading_state is TradingState.HALTED


def test_resume_with_a_reason_clears_latched_causes_and_records_the_reason() -> None:
    harness = halted()
    answer, effects = harness.operate(ask("2", OperatorAction.RESUME, "lunch is over"))
    assert (answer.done, answer.detail) == (True, "resume: active")
    cleared = [one for one in harness.log if isinstance(one, CauseCleared)][-1]
    assert (cleared.cause, cleared.reason) == (Cause.OPERATOR_HALT, "lunch is over")
    assert [one.state for one in sent_controls(effects) if isinstance(one, SetTradingState)] == [TradingState.ACTIVE]


def test_resume_waits_for_evidence() -> None:
    harness = halted()
    harness.lose_stream("orders")
    answer, _ = harness.operate(ask("2", OperatorAction.RESUME, "lunch is over"))
    assert (answer.done, answer.detail) == (False, "blocked while execution_down: orders: heartbeat timeout")


def test_resume_does_not_clear_a_divergence_that_is_still_there() -> None:
    harness = RiskHarness().activate()
    harness.reconcile((AAPL, "1"))
    answer, _ = harness.operate(ask("2", OperatorAction.RESUME, "it will be fine"))
    assert not answer.done
    harness.order_event(a_fill(None, "1", "100"))
    harness.reconcile((AAPL, "1"))
    assert Cause.DIVERGENCE in harness.state.causes
    answer, _ = harness.operate(ask("3", OperatorAction.RESUME, "a trade by hand, found and counted"))
    assert answer.done
    assert harness.state.trading_state is TradingState.ACTIVE


def test_resume_with_nothing_latched_has_nothing_to_do() -> None:
    answer, _ = RiskHarness().activate().operate(ask("1", OperatorAction.RESUME, "why not"))
    assert (answer.done, answer.detail) == (False, "nothing is latched")


def test_cancel_all_cancels_and_trading_continues() -> None:
    harness = RiskHarness().activate()
    answer, effects = harness.operate(ask("1", OperatorAction.CANCEL_ALL, "tidy up"))
    assert (answer.done, answer.detail) == (True, "cancel_all: active")
    assert [one.reason for one in sent_controls(effects) if isinstance(one, CancelAll)] == ["tidy up"]


def test_cancel_all_works_while_halted() -> None:
    _, effects = halted().operate(ask("2", OperatorAction.CANCEL_ALL, "tidy up"))
    assert [type(one) for one in sent_controls(effects)] == [CancelAll]
