"""Judges one intent by every check, and judges it again from the log alone."""

from components.contracts.decisions import CheckResult, Decision, DecisionInputs
from components.contracts.errors import CorruptData
from components.contracts.signals import ApprovalTerms, Intent
from components.contracts.values import ZERO, Price, Side
from components.risk.core.checks import PRE_TRADE_CHECKS, CheckContext
from components.risk.core.limits import Limits
from components.risk.core.state import RiskState


def evaluate(intent: Intent, inputs: DecisionInputs, limits: Limits, state: RiskState) -> tuple[CheckResult, ...]:
    """Run every check, always all of them; an unknown fact never holds."""
    case = _check_context(intent, inputs, limits, state)
    return tuple([check(case) for check in PRE_TRADE_CHECKS])


def decide(intent: Intent, inputs: DecisionInputs, limits: Limits, state: RiskState, ttl_ns: int) -> Decision:
    """Judge, and where every check holds write the terms; they name the record that will hold this decision."""
    checked = evaluate(intent, inputs, limits, state)
    terms = None
    if all(one.passed for one in checked):
        now_ns = inputs.now_ns
        terms = ApprovalTerms(state.account, limits.version, state.next_sequence, now_ns, now_ns + ttl_ns)
    return Decision(intent, checked, inputs, limits.version, terms)


def re_evaluate(state: RiskState, decision: Decision) -> tuple[CheckResult, ...]:
    """Judge again what was judged on this state; the log holds all that is needed."""
    if state.limits is None or state.limits.version != decision.limits_version:
        raise CorruptData(f"record {state.next_sequence}: judged by limits {decision.limits_version}, not in this log")
    return evaluate(decision.intent, decision.inputs, state.limits, state)


def is_reproducible(state: RiskState, decision: Decision) -> bool:
    """Say whether a decision follows from the log before it: its checks, and terms exactly where all of them hold."""
    checked = re_evaluate(state, decision)
    allowed = all(one.passed for one in checked)
    names_its_record = decision.terms is None or decision.terms.state_sequence == state.next_sequence
    return checked == decision.checks and allowed == decision.allowed and names_its_record


def _check_context(intent: Intent, inputs: DecisionInputs, limits: Limits, state: RiskState) -> CheckContext:
    bid, ask = inputs.bid_price, inputs.ask_price
    middle = (bid + ask) / 2 if bid is not None and ask is not None and ZERO < bid < ask else None
    price = _unit_price(intent, bid, ask)
    shrinks = intent.purpose.is_reduce_only
    return CheckContext(intent, inputs, limits, state, state.exposure(intent.symbol), shrinks, middle, price)


def _unit_price(intent: Intent, bid: Price | None, ask: Price | None) -> Price | None:
    if intent.limit_price is not None:
        return intent.limit_price
    return ask if intent.side is Side.BUY else bid
