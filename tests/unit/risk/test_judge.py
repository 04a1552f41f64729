"""A decision names its record, and can be judged again from the log alone."""

import pytest
from msgspec.structs import replace

from components.contracts.decisions import Decision
from components.contracts.errors import DamagedData
from components.contracts.trading import Cause
from components.risk.core.audit import audit
from components.risk.core.judge import decide, is_confirmed, rejudge
from tests.unit.risk.world import ACCOUNT, LIMITS, MS, NOW, World, a_fill, a_state, an_intent, fresh_intent, some_facts


def a_decision(**facts: object) -> Decision:
    return decide(an_intent(), some_facts(**facts), LIMITS, a_state(), 10_000 * MS)


def test_the_terms_name_account_limits_record_and_times() -> None:
    terms = a_decision().terms
    assert terms is not None
    assert (terms.account, terms.limits_version, terms.state_sequence) == (ACCOUNT, LIMITS.version, 2)
    assert (terms.approved_at_ns, terms.expires_at_ns) == (NOW, NOW + 10_000 * MS)


def test_a_refusal_has_no_terms_and_says_why() -> None:
    decision = a_decision(causes=(Cause.UNRECONCILED,))
    assert decision.terms is None
    assert [one.observed for one in decision.refusals] == ["halted: unreconciled"]


@pytest.mark.parametrize("causes", [(), (Cause.BUS_GAP,)])
def test_a_decision_is_confirmed_by_the_state_it_was_made_on(causes: tuple[Cause, ...]) -> None:
    decision = a_decision(causes=causes)
    assert rejudge(a_state(), decision) == decision.checked
    assert is_confirmed(a_state(), decision)


def test_a_decision_that_does_not_follow_is_not_confirmed() -> None:
    decision, refused = a_decision(), a_decision(causes=(Cause.BUS_GAP,))
    assert decision.terms is not None
    assert not is_confirmed(a_state(), replace(refused, terms=decision.terms))
    assert not is_confirmed(a_state(), replace(decision, terms=None))
    assert not is_confirmed(a_state(), replace(decision, checked=decision.checked[1:]))
    assert not is_confirmed(a_state(), replace(decision, terms=replace(decision.terms, state_sequence=3)))


def test_a_decision_by_limits_that_the_log_does_not_hold_is_damage() -> None:
    with pytest.raises(DamagedData, match="record 2: judged by limits f00"):
        rejudge(a_state(), replace(a_decision(), limits_version="f00"))


def a_log() -> World:
    world = World().active()
    intent = fresh_intent(world)
    world.judge(intent)
    world.event(a_fill(intent, "10", "100"))
    world.judge(fresh_intent(world, "wrong", limit_price="200"))
    world.lose("market")
    world.judge(fresh_intent(world, "blind"))
    return world


def test_a_whole_log_is_confirmed_across_a_change_of_limits() -> None:
    before = a_log()
    limits = LIMITS.model_copy(update={"order_quantity_max": LIMITS.order_quantity_max - 1})
    limits = type(limits)(**limits.model_dump())
    after = World(before.log, limits=limits, now_ns=before.now_ns + 3_000 * MS).active()
    after.judge(fresh_intent(after, "later"))
    found = audit(enumerate(after.log, 1), judge_again=True)
    assert (found.ok, found.records, found.decisions, found.allowed) == (True, len(after.log), 4, 2)


def test_an_altered_decision_is_found_by_its_record() -> None:
    log = a_log().log
    number = next(n for n, record in enumerate(log) if isinstance(record, Decision) and not record.allowed)
    record = log[number]
    assert isinstance(record, Decision)
    log[number] = replace(record, facts=replace(record.facts, is_stopping=True))
    found = audit(enumerate(log, 1), judge_again=True)
    assert (found.ok, found.unconfirmed) == (False, (number + 1,))
    assert audit(enumerate(log, 1), judge_again=False).ok


def test_a_log_that_does_not_begin_is_damage() -> None:
    with pytest.raises(DamagedData, match="begins with how it was opened"):
        audit([], judge_again=True)
