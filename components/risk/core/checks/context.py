"""Every question that risk asks of an intent; each says what it observed, what the limit is, and whether it holds."""

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


class CheckContext(Struct, frozen=True, gc=False):
    """One intent with everything it is judged by."""

    intent: Intent
    inputs: DecisionInputs
    limits: Limits
    state: RiskState
    exposure: Exposure
    reduce_only: bool
    mid: Decimal | None
    price: Decimal | None
    """What one unit would cost: the limit, or for a market order the far side of the quote."""


Check: TypeAlias = Callable[[CheckContext], CheckResult]


NOT_APPLICABLE_TO_EXITS: Final = {
    code: CheckResult(code, "-", "does not concern exits", passed=True) for code in CheckName
}


NOT_APPLICABLE_TO_ENTRIES: Final = {
    code: CheckResult(code, "-", "does not concern entries", passed=True) for code in CheckName
}


def format_ms(span_ns: int) -> str:
    return f"{span_ns / NS_PER_MS:.3f} ms"
