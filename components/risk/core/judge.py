"""Judges one intent by every check, and judges it again from the log alone."""

from components.contracts.decisions import Checked, Decision, Facts
from components.contracts.errors import DamagedData
from components.contracts.signals import ApprovalTerms, Intent
from components.contracts.values import ZERO, Price, Side
from components.risk.core.checks import CHECKS, Case
from components.risk.core.limits import Limits
from components.risk.core.state import RiskState


def judge(intent: Intent, facts: Facts, limits: Limits, state: RiskState) -> tuple[Checked, ...]:
    """Run every check, always all of them; an unknown fact never holds."""
    case = _case(intent, facts, limits, state)
    return tuple([check(case) for check in CHECKS])


def decide(intent: Intent, facts: Facts, limits: Limits, state: RiskState, ttl_ns: int) -> Decision:
    """Judge, and where every check holds write the terms; they name the record that will hold this decision."""
    checked = judge(intent, facts, limits, state)
    terms = None
    if all(one.holds for one in checked):
        now_ns = facts.now_ns
        terms = ApprovalTerms(state.account, limits.version, state.next_sequence, now_ns, now_ns + ttl_ns)
    return Decision(intent, checked, facts, limits.version, terms)


def rejudge(state: RiskState, decision: Decision) -> tuple[Checked, ...]:
    """Judge again what was judged on this state; the log holds all that is needed."""
    if state.limits is None or state.limits.version != decision.limits_version:
        raise DamagedData(f"record {state.next_sequence}: judged by limits {decision.limits_version}, not in this log")
    return judge(decision.intent, decision.facts, state.limits, state)


def is_confirmed(state: RiskState, decision: Decision) -> bool:
    """Say whether a decision follows from the log before it: its checks, and terms exactly where all of them hold."""
    checked = rejudge(state, decision)
    allowed = all(one.holds for one in checked)
    names_its_record = decision.terms is None or decision.terms.state_sequence == state.next_sequence
    return checked == decision.checked and allowed == decision.allowed and names_its_record


def _case(intent: Intent, facts: Facts, limits: Limits, state: RiskState) -> Case:
    bid, ask = facts.bid_price, facts.ask_price
    middle = (bid + ask) / 2 if bid is not None and ask is not None and ZERO < bid < ask else None
    price = _price(intent, bid, ask)
    shrinks = intent.purpose.only_shrinks
    return Case(intent, facts, limits, state, state.exposure(intent.symbol), shrinks, middle, price)


def _price(intent: Intent, bid: Price | None, ask: Price | None) -> Price | None:
    if intent.limit_price is not None:
        return intent.limit_price
    return ask if intent.side is Side.BUY else bid
