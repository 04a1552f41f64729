"""What an operator may do: halt, resume in two steps, cancel everything."""

from components.contracts.commands import CancelAll, SetTradingState, Withdraw
from components.contracts.decisions import Action, CauseCleared, Operate
from components.contracts.orders import OrderState
from components.contracts.trading import Cause, TradingState
from components.contracts.values import CommandId
from tests.unit.risk.world import AAPL, World, a_fill, an_update, controls, frames, fresh_intent, received


def ask(name: str, action: Action, reason: str = "") -> Operate:
    return Operate(CommandId(name), action, reason)


def halted() -> World:
    world = World().active()
    answer, _ = world.operate(ask("1", Action.HALT, "lunch"))
    assert answer.done
    return world


def test_a_halt_is_latched_and_told_to_execution() -> None:
    world = World().active()
    answer, effects = world.operate(ask("1", Action.HALT, "lunch"))
    assert (answer.done, answer.detail) == (True, "halt: halted")
    assert world.state.causes == {Cause.OPERATOR_HALT: "lunch"}
    assert [type(one) for one in controls(effects)] == [SetTradingState, CancelAll]
    assert world.restarted().active().state.trading_state is TradingState.HALTED


def test_a_halt_withdraws_what_has_not_left_and_only_that() -> None:
    world = World().active()
    intents = [fresh_intent(world, name, limit_price=f"100.0{n}") for n, name in enumerate("aro")]
    for intent in intents:
        world.judge(intent)
    _, at_execution, working = intents
    for intent in (at_execution, working):
        terms = world.state.orders[intent.intent_id].terms
        assert terms is not None
        world.event(received(intent, terms))
    world.event(an_update(working, OrderState.OPEN))
    _, effects = world.operate(ask("1", Action.HALT, "lunch"))
    assert [one.intent_id for one in controls(effects) if isinstance(one, Withdraw)] == ["a-0", "r-0"]


def test_a_halt_is_seen_through_after_a_restart_and_whenever_execution_comes_back() -> None:
    world = World().active()
    world.judge(fresh_intent(world))
    world.operate(ask("1", Action.HALT, "lunch"))
    again = world.restarted()
    for _ in range(2):
        assert [type(one) for one in controls(again.join_orders())] == [SetTradingState, Withdraw, CancelAll]
        again.lose("orders")


def test_a_halt_needs_a_reason() -> None:
    world = World().active()
    answer, effects = world.operate(ask("1", Action.HALT))
    assert not answer.done
    assert not frames(effects)
    assert world.state.causes == {}


def test_a_second_halt_is_done_and_not_written_twice() -> None:
    world = halted()
    length = len(world.log)
    answer, effects = world.operate(ask("2", Action.HALT, "still"))
    assert answer.done
    assert len(world.log) == length
    assert [type(one) for one in controls(effects)] == [CancelAll]


def test_a_request_that_comes_twice_gets_one_effect_and_the_same_answer() -> None:
    world = World().active()
    first, _ = world.operate(ask("1", Action.CANCEL_ALL, "tidy up"))
    again, effects = world.operate(ask("1", Action.CANCEL_ALL, "tidy up"))
    assert again == first
    assert not frames(effects)


def test_resume_without_a_reason_tells_what_it_would_clear_and_clears_nothing() -> None:
    world = halted()
    answer, _ = world.operate(ask("2", Action.RESUME))
    assert (answer.done, answer.detail) == (False, "would clear operator_halt (lunch); say why it is safe")
    assert world.state.trading_state is TradingState.HALTED


def test_resume_with_a_reason_clears_what_is_latched_and_writes_the_reason_down() -> None:
    world = halted()
    answer, effects = world.operate(ask("2", Action.RESUME, "lunch is over"))
    assert (answer.done, answer.detail) == (True, "resume: active")
    cleared = [one for one in world.log if isinstance(one, CauseCleared)][-1]
    assert (cleared.cause, cleared.reason) == (Cause.OPERATOR_HALT, "lunch is over")
    assert [one.state for one in controls(effects) if isinstance(one, SetTradingState)] == [TradingState.ACTIVE]


def test_resume_waits_for_evidence() -> None:
    world = halted()
    world.lose("orders")
    answer, _ = world.operate(ask("2", Action.RESUME, "lunch is over"))
    assert (answer.done, answer.detail) == (False, "not while execution_down: orders: silence")


def test_resume_does_not_clear_a_divergence_that_is_still_there() -> None:
    world = World().active()
    world.reconcile((AAPL, "1"))
    answer, _ = world.operate(ask("2", Action.RESUME, "it will be fine"))
    assert not answer.done
    world.event(a_fill(None, "1", "100"))
    world.reconcile((AAPL, "1"))
    assert Cause.DIVERGENCE in world.state.causes
    answer, _ = world.operate(ask("3", Action.RESUME, "a trade by hand, found and counted"))
    assert answer.done
    assert world.state.trading_state is TradingState.ACTIVE


def test_resume_with_nothing_latched_has_nothing_to_do() -> None:
    answer, _ = World().active().operate(ask("1", Action.RESUME, "why not"))
    assert (answer.done, answer.detail) == (False, "nothing is latched")


def test_cancel_all_cancels_and_trading_goes_on() -> None:
    world = World().active()
    answer, effects = world.operate(ask("1", Action.CANCEL_ALL, "tidy up"))
    assert (answer.done, answer.detail) == (True, "cancel_all: active")
    assert [one.reason for one in controls(effects) if isinstance(one, CancelAll)] == ["tidy up"]


def test_cancel_all_passes_while_halted() -> None:
    _, effects = halted().operate(ask("2", Action.CANCEL_ALL, "tidy up"))
    assert [type(one) for one in controls(effects)] == [CancelAll]
