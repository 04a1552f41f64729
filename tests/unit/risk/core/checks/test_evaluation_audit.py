"""A decision names its record, and can be evaluated again from the log alone."""

import pytest
from msgspec.structs import replace

from components.contracts.decisions import Decision
from components.contracts.errors import CorruptData
from components.contracts.trading import Cause
from components.risk.core.checks.evaluation import audit_log, decide, is_reproducible, re_evaluate
from tests.support.risk_harness import (
    ACCOUNT,
    LIMITS,
    MS,
    NOW,
    RiskHarness,
    a_fill,
    a_state,
    an_intent,
    decision_inputs,
    fresh_intent,
)


def a_decision(**facts: object) -> Decision:
    return decide(an_intent(), decision_inputs(**facts), LIMITS, a_state(), 10_000 * MS)


def test_the_terms_name_account_limits_record_and_times() -> None:
    terms = a_decision().terms
    assert terms is not None
    assert (terms.account, terms.limits_version, terms.state_sequence) == (ACCOUNT, LIMITS.version, 2)
    assert (terms.approved_at_ns, terms.expires_at_ns) == (NOW, NOW + 10_000 * MS)


def test_a_refusal_has_no_terms_and_lists_the_failed_checks() -> None:
    decision = a_decision(causes=(Cause.UNRECONCILED,))
    assert decision.terms is None
    assert [one.observed for one in decision.failed_checks] == ["halted: unreconciled"]


@pytest.mark.parametrize("causes", [(), (Cause.BUS_GAP,)])
def test_a_decision_is_reproduced_from_the_state_it_was_made_on(causes: tuple[Cause, ...]) -> None:
    decision = a_decision(causes=causes)
    assert re_evaluate(a_state(), decision) == decision.checks
    assert is_reproducible(a_state(), decision)


def test_a_decision_that_does_not_follow_is_not_reproduced() -> None:
    decision, refused = a_decision(), a_decision(causes=(Cause.BUS_GAP,))
    assert decision.terms is not None
    assert not is_reproducible(a_state(), replace(refused, terms=decision.terms))
    assert not is_reproducible(a_state(), replace(decision, terms=None))
    assert not is_reproducible(a_state(), replace(decision, checks=decision.checks[1:]))
    assert not is_reproducible(a_state(), replace(decision, terms=replace(decision.terms, state_sequence=3)))


def test_a_decision_by_limits_missing_from_the_log_is_corruption() -> None:
    with pytest.raises(CorruptData, match="record 2: decided with limits f00"):
        re_evaluate(a_state(), replace(a_decision(), limits_version="f00"))


def a_log() -> RiskHarness:
    harness = RiskHarness().activate()
    intent = fresh_intent(harness)
    harness.request_approval(intent)
    harness.order_event(a_fill(intent, "10", "100"))
    harness.request_approval(fresh_intent(harness, "wrong", limit_price="200"))
    harness.lose_stream("market")
    harness.request_approval(fresh_intent(harness, "blind"))
    return harness


def test_a_whole_log_is_reproduced_across_a_change_of_limits() -> None:
    before = a_log()
    limits = LIMITS.model_copy(update={"order_quantity_max": LIMITS.order_quantity_max - 1})
    limits = type(limits)(**limits.model_dump())
    after = RiskHarness(before.log, limits=limits, now_ns=before.now_ns + 3_000 * MS).activate()
    after.request_approval(fresh_intent(after, "later"))
    found = audit_log(enumerate(after.log, 1), re_evaluate_decisions=True)
    assert (found.ok, found.records, found.decisions, found.allowed) == (True, len(after.log), 4, 2)


def test_an_altered_decision_is_found_by_its_record() -> None:
    log = a_log().log
    number = next(n for n, record in enumerate(log) if isinstance(record, Decision) and not record.allowed)
    record = log[number]
    assert isinstance(record, Decision)
    log[number] = replace(record, inputs=replace(record.inputs, is_stopping=True))
    found = audit_log(enumerate(log, 1), re_evaluate_decisions=True)
    assert (found.ok, found.not_reproduced) == (False, (number + 1,))
    assert audit_log(enumerate(log, 1), re_evaluate_decisions=False).ok


def test_a_log_without_its_first_record_is_corruption() -> None:
    with pytest.raises(CorruptData, match="the first record of risk's log must be a start"):
        audit_log([], re_evaluate_decisions=True)
