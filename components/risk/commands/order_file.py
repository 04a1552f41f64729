"""Parses an order from JSON, and runs the checks on it with a given quote and position, without any process."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from components.contracts.decisions import CheckResult, DecisionInputs
from components.contracts.errors import UsageError
from components.contracts.market import BookState
from components.contracts.signals import Intent, ModelProvenance, Purpose
from components.contracts.trading import Cause
from components.contracts.values import AccountId, OrderType, Quantity, Symbol, TimeInForce
from components.risk.config import RiskConfig
from components.risk.core.account_state import RiskState
from components.risk.core.checks.evaluation import evaluate
from components.risk.core.limits import Limits
from components.risk.core.positions import Exposure
from components.runtime.clock import NS_PER_MS, SystemClock
from components.runtime.config.settings import load_settings

INTENT_TTL_NS: Final = 1_000_000_000
NO_PROVENANCE: Final = ModelProvenance("", "", (), (), (), BookState.SYNCED)
INTENT_FIELDS: Final = frozenset(Intent.__struct_fields__)


def parse_intent(fields: Mapping[str, Any], now_ns: int) -> Intent:
    """Return an intent with these fields.

    Symbol, side and quantity are required, the other fields have defaults. Raises UsageError for an unknown or invalid
    field.
    """
    if unknown := sorted(set(fields) - INTENT_FIELDS):
        raise UsageError(f"unknown field: {', '.join(unknown)}; the fields are {', '.join(sorted(INTENT_FIELDS))}")
    values = {**_defaults(fields, now_ns), **fields}
    for name in ("quantity", "limit_price"):
        values[name] = None if values.get(name) is None else str(values[name])
    missing = [name for name in ("symbol", "side", "quantity") if values.get(name) is None]
    if missing:
        raise UsageError(f"missing field: {', '.join(missing)}")
    try:
        return msgspec.convert(
            [Intent.__struct_config__.tag, *(values[name] for name in Intent.__struct_fields__)], Intent
        )
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"invalid order: {error}") from error


def parse_json_object(text: str) -> dict[str, Any]:
    """Return the fields of a JSON object, its numbers as Decimal; raise UsageError for any other text."""
    try:
        fields = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise UsageError(f"the order file is not a JSON object: {error}") from error
    if not isinstance(fields, dict):
        raise UsageError("the order file is not a JSON object")
    return fields


def dry_run(
    text: str,
    *,
    bid: Decimal | None,
    ask: Decimal | None,
    quote_age_ms: int,
    causes: Iterable[str],
    position: Quantity,
) -> tuple[CheckResult, ...]:
    """Return the results of all checks on an order: configured limits, the given quote, causes and position."""
    fields = parse_json_object(text)
    try:
        active = tuple(Cause(one) for one in causes)
    except ValueError as error:
        raise UsageError(str(error)) from error
    limits = load_settings({"risk": RiskConfig}).table("risk", RiskConfig).limits
    now_ns = SystemClock().now_ns()
    intent = parse_intent(fields, now_ns)
    quoted_at_ns = now_ns - quote_age_ms * NS_PER_MS
    inputs = DecisionInputs(now_ns, bid, ask, quoted_at_ns, None, BookState.SYNCED, True, active, False)  # noqa: FBT003
    return evaluate(intent, inputs, limits, _account_with(limits, intent.symbol, position))


def _account_with(limits: Limits, symbol: Symbol, position: Quantity) -> RiskState:
    exposures = {symbol: Exposure(symbol, position)}
    return RiskState(account=AccountId("dry-run"), journal_id="", limits=limits, exposures=exposures)


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
