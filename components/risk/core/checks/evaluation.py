"""The ordered list of pre-trade checks, decisions made with it, and their re-evaluation from the log.

`decide` always runs every check; an unknown input never passes. A decision stores all inputs that the log does not
contain already, so that `audit_log` can evaluate each decision of a log again.
"""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import chain
from typing import Final

from msgspec import Struct

from components.contracts.decisions import CheckResult, Decision, DecisionInputs, DecisionMessage, RiskStarted
from components.contracts.errors import CorruptData
from components.contracts.signals import ApprovalTerms, Intent
from components.contracts.values import ZERO, Price, Side
from components.risk.core.account_state import RiskState, encode_state
from components.risk.core.checks.context import Check, CheckContext
from components.risk.core.checks.exposure import check_position, check_reduce_only, check_short_sale
from components.risk.core.checks.flow import (
    check_duplicate,
    check_open_orders,
    check_order_rate,
    check_self_cross,
    check_signal_age,
    check_trading_state,
)
from components.risk.core.checks.market_data import check_book_state, check_quote_age, check_spread
from components.risk.core.checks.order_terms import (
    check_notional,
    check_price_collar,
    check_price_tick,
    check_quantity,
    check_symbol,
)
from components.risk.core.limits import Limits
from components.risk.core.projection import replay

PRE_TRADE_CHECKS: Final[tuple[Check, ...]] = (
    check_trading_state,
    check_symbol,
    check_signal_age,
    check_duplicate,
    check_book_state,
    check_quote_age,
    check_spread,
    check_price_collar,
    check_price_tick,
    check_quantity,
    check_notional,
    check_position,
    check_short_sale,
    check_reduce_only,
    check_self_cross,
    check_open_orders,
    check_order_rate,
)
SequencedRecord = tuple[int, DecisionMessage]
"""A record of the log with its sequence."""


class LogAudit(Struct, frozen=True, gc=False):
    """Result of an audit; two audits of the same log give the same state hash."""

    records: int
    decisions: int
    allowed: int
    not_reproduced: tuple[int, ...]
    """Sequences of the decisions that do not follow from the log before them."""
    state_hash: str

    @property
    def ok(self) -> bool:
        """Return whether every decision was reproduced."""
        return not self.not_reproduced


def evaluate(intent: Intent, inputs: DecisionInputs, limits: Limits, state: RiskState) -> tuple[CheckResult, ...]:
    """Run every check, also after one has failed, and return the results in order; an unknown input never passes."""
    context = _check_context(intent, inputs, limits, state)
    return tuple([check(context) for check in PRE_TRADE_CHECKS])


def decide(intent: Intent, inputs: DecisionInputs, limits: Limits, state: RiskState, ttl_ns: int) -> Decision:
    """Return the decision on an intent; if every check passes, with the terms of the approval.

    The terms contain the sequence of the record in which this decision is stored.
    """
    results = evaluate(intent, inputs, limits, state)
    terms = None
    if all(one.passed for one in results):
        now_ns = inputs.now_ns
        terms = ApprovalTerms(state.account, limits.version, state.next_sequence, now_ns, now_ns + ttl_ns)
    return Decision(intent, results, inputs, limits.version, terms)


def re_evaluate(state: RiskState, decision: Decision) -> tuple[CheckResult, ...]:
    """Return the check results of a decision that was made on this state, evaluated again from the log alone.

    Raises CorruptData if the log does not contain the limits of the decision.
    """
    if state.limits is None or state.limits.version != decision.limits_version:
        raise CorruptData(
            f"record {state.next_sequence}: decided with limits {decision.limits_version}, which are not in this log"
        )
    return evaluate(decision.intent, decision.inputs, state.limits, state)


def is_reproducible(state: RiskState, decision: Decision) -> bool:
    """Return whether a decision follows from the log before it.

    Its check results must be the same, and it must have terms exactly if all of them pass.
    """
    results = re_evaluate(state, decision)
    allowed = all(one.passed for one in results)
    names_its_record = decision.terms is None or decision.terms.state_sequence == state.next_sequence
    return results == decision.checks and allowed == decision.allowed and names_its_record


def audit_log(records: Iterable[SequencedRecord], *, re_evaluate_decisions: bool) -> LogAudit:
    """Return the audit of a log, read from its first record; re-evaluating a decision costs as much as making it."""
    stream = iter(records)
    state = _initial_state(first := next(stream, None))
    decisions = allowed = 0
    not_reproduced: list[int] = []
    for sequence, record in chain([first] if first else [], stream):
        if isinstance(record, Decision):
            decisions += 1
            allowed += record.allowed
            if re_evaluate_decisions and not is_reproducible(state, record):
                not_reproduced.append(sequence)
        state = replay(state, [(sequence, record)])
    state_hash = blake2b(encode_state(state), digest_size=32).hexdigest()
    return LogAudit(state.last_sequence, decisions, allowed, tuple(not_reproduced), state_hash)


def _check_context(intent: Intent, inputs: DecisionInputs, limits: Limits, state: RiskState) -> CheckContext:
    bid, ask = inputs.bid_price, inputs.ask_price
    mid = (bid + ask) / 2 if bid is not None and ask is not None and ZERO < bid < ask else None
    price = _unit_price(intent, bid, ask)
    reduce_only = intent.purpose.is_reduce_only
    return CheckContext(intent, inputs, limits, state, state.exposure(intent.symbol), reduce_only, mid, price)


def _unit_price(intent: Intent, bid: Price | None, ask: Price | None) -> Price | None:
    if intent.limit_price is not None:
        return intent.limit_price
    return ask if intent.side is Side.BUY else bid


def _initial_state(first: SequencedRecord | None) -> RiskState:
    match first:
        case (_, RiskStarted(account=account)):
            return RiskState(account=account, journal_id="")
        case _:
            raise CorruptData("record 1: the first record of risk's log must be a start")
