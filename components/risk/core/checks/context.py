"""The input of a pre-trade check, and the results that several checks share.

A check is a pure function of a CheckContext. Its result names what it observed, the limit, and whether the check
passed.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.decisions import CheckName, CheckResult, DecisionInputs
from components.contracts.signals import Intent
from components.risk.core.account_state import RiskState
from components.risk.core.limits import NS_PER_MS, Limits
from components.risk.core.positions import Exposure

BPS: Final = Decimal(10_000)
"""Basis points in one."""
NOT_APPLICABLE_TO_EXITS: Final = {
    name: CheckResult(name, "-", "does not apply to exits", passed=True) for name in CheckName
}
NOT_APPLICABLE_TO_ENTRIES: Final = {
    name: CheckResult(name, "-", "does not apply to entries", passed=True) for name in CheckName
}


class CheckContext(Struct, frozen=True, gc=False):
    """One intent with everything that the checks read."""

    intent: Intent
    inputs: DecisionInputs
    limits: Limits
    state: RiskState
    exposure: Exposure
    reduce_only: bool
    mid: Decimal | None
    price: Decimal | None
    """Price of one unit: the limit price, or for a market order the opposite side of the quote."""


Check: TypeAlias = Callable[[CheckContext], CheckResult]


def format_ms(span_ns: int) -> str:
    """Return a duration in milliseconds with three decimals."""
    return f"{span_ns / NS_PER_MS:.3f} ms"
