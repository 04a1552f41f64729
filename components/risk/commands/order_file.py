"""Parses an order from JSON, and runs the checks on an artificial market and account, without any process."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from components.contracts.decisions import DecisionInputs
from components.contracts.errors import UsageError
from components.contracts.market import BookState
from components.contracts.signals import Intent, ModelProvenance, Purpose
from components.contracts.trading import Cause
from components.contracts.values import AccountId, OrderType, Quantity, Symbol, TimeInForce
from components.risk.core.account_state import RiskState
from components.risk.core.limits import Limits
from components.risk.core.positions import Exposure

INTENT_TTL_NS: Final = 1_000_000_000


NO_PROVENANCE: Final = ModelProvenance("", "", (), (), (), BookState.SYNCED)


INTENT_FIELDS: Final = frozenset(Intent.__struct_fields__)


def parse_intent(fields: Mapping[str, Any], now_ns: int) -> Intent:
    """Return an intent built from the given fields.

    Symbol, side and quantity are required, the other fields have defaults. Raises UsageError for an unknown or invalid
    field.
    """
    if unknown := sorted(set(fields) - INTENT_FIELDS):
        raise UsageError(f"no such field: {', '.join(unknown)}; there are {', '.join(sorted(INTENT_FIELDS))}")
    filled = {**_defaults(fields, now_ns), **fields}
    for name in ("quantity", "limit_price"):
        filled[name] = None if filled.get(name) is None else str(filled[name])
    missing = [name for name in ("symbol", "side", "quantity") if filled.get(name) is None]
    if missing:
        raise UsageError(f"an intent needs {', '.join(missing)}")
    try:
        return msgspec.convert(["Intent", *(filled[name] for name in Intent.__struct_fields__)], Intent)
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"not an intent: {error}") from error


def made_up_inputs(
    *,
    bid: Decimal | None,
    ask: Decimal | None,
    quote_age_ms: int,
    book: BookState,
    causes: tuple[Cause, ...],
    now_ns: int,
) -> DecisionInputs:
    """Return decision inputs built from the options of the command."""
    return DecisionInputs(now_ns, bid, ask, now_ns - quote_age_ms * 1_000_000, None, book, True, causes, False)  # noqa: FBT003


def made_up_state(limits: Limits, symbol: Symbol, position: Quantity) -> RiskState:
    """Return the state of an account that holds this one position and has no orders."""
    exposures = {symbol: Exposure(symbol, position)}
    return RiskState(account=AccountId("made-up"), journal_id="", limits=limits, exposures=exposures)


def _defaults(fields: Mapping[str, Any], now_ns: int) -> dict[str, Any]:
    priced = fields.get("limit_price") is not None
    return {
        "signal_id": "handmade",
        "leg": 0,
        "strategy": "handmade",
        "purpose": Purpose.ENTRY,
        "order_type": OrderType.LIMIT if priced else OrderType.MARKET,
        "limit_price": None,
        "time_in_force": TimeInForce.DAY,
        "provenance": NO_PROVENANCE,
        "tick_at_ns": now_ns,
        "created_at_ns": now_ns,
        "expires_at_ns": now_ns + INTENT_TTL_NS,
    }
