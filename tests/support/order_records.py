"""One order's records as both journals would hold them, with good defaults."""

from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from components.contracts.decisions import CheckName, CheckResult, Decision
from components.contracts.orders import Filled, IntentReceived, OrderMessage, OrderSending, OrderState, OrderUpdated
from components.contracts.signals import Intent
from components.contracts.values import ClientOrderId, OrderType, Side, SignalId, Symbol, TimeInForce
from components.runtime.bus.codec import encode
from components.runtime.journal.journal import Journal
from components.runtime.paths import Paths
from components.signals.core.features import SCHEMA
from tests.support.sample_messages import AT_NS, DECISION_INPUTS, FILLED, INTENT, MESSAGES, PROVENANCE, TERMS

MS = 1_000_000
CHECK_PASSED = CheckResult(CheckName.SPREAD, "1.60 bps", "30 bps", passed=True)
CHECK_FAILED = CheckResult(CheckName.DUPLICATE, "400 ms ago", "no repeat within 1000 ms", passed=False)
MODEL_HASH = "a" * 32


def intent(name: str = "demo-abc-1", **changes: Any) -> Intent:
    provenance = replace(
        PROVENANCE,
        model_hash=MODEL_HASH,
        schema_hash=SCHEMA.hash,
        features=tuple(float(index) for index in range(len(SCHEMA.features))),
        prediction=(0.125, 0.25, 0.625),
    )
    fields: dict[str, Any] = {
        "signal_id": SignalId(name),
        "leg": 0,
        "symbol": Symbol("SPY"),
        "side": Side.BUY,
        "quantity": Decimal(1),
        "order_type": OrderType.LIMIT,
        "limit_price": Decimal("560.10"),
        "time_in_force": TimeInForce.IOC,
        "provenance": provenance,
        "tick_at_ns": AT_NS,
        "created_at_ns": AT_NS + MS // 2,
        "expires_at_ns": AT_NS + 2_000 * MS,
    }
    return replace(INTENT, **fields | changes)


def decision(proposed: Intent | None = None, *, allowed: bool = True) -> Decision:
    inputs = replace(DECISION_INPUTS, now_ns=AT_NS + MS, bid_price=Decimal("559.95"), ask_price=Decimal("559.98"))
    terms = replace(TERMS, approved_at_ns=AT_NS + MS, expires_at_ns=AT_NS + 10_001 * MS) if allowed else None
    checks = (CHECK_PASSED,) if allowed else (CHECK_PASSED, CHECK_FAILED)
    return Decision(proposed or intent(), checks, inputs, "limits-3", terms)


def order_events(proposed: Intent | None = None) -> tuple[OrderMessage, ...]:
    proposed = proposed or intent()
    name = ClientOrderId(f"{proposed.intent_id}-1")
    ids = {"intent_id": proposed.intent_id, "client_order_id": name, "symbol": proposed.symbol, "side": proposed.side}
    updated = next(one for one in MESSAGES if isinstance(one, OrderUpdated))
    return (
        IntentReceived(proposed, TERMS, name, AT_NS + 3 * MS),
        OrderSending(proposed.intent_id, name, 1, AT_NS + 3 * MS),
        replace(updated, **ids, state=OrderState.OPEN, reason="new", at_ns=AT_NS + 8 * MS),
        filled(proposed),
        replace(updated, **ids, state=OrderState.FILLED, reason="filled", at_ns=AT_NS + 12 * MS),
    )


def filled(proposed: Intent | None = None) -> Filled:
    proposed = proposed or intent()
    return replace(
        FILLED,
        intent_id=proposed.intent_id,
        client_order_id=ClientOrderId(f"{proposed.intent_id}-1"),
        symbol=proposed.symbol,
        side=proposed.side,
        quantity=proposed.quantity,
        price=Decimal("559.98"),
        at_ns=AT_NS + 12 * MS,
    )


def paths_at(root: Path) -> Paths:
    return Paths(
        root=root, env="dev", account="sandbox", state=root / "var" / "dev" / "sandbox", run=root / "r", keys=root / "k"
    )


def write_journal(paths: Paths, owner: str, *messages: object) -> None:
    journal = Journal.open(paths.journal(owner), owner=owner, account=paths.account, now_ns=AT_NS)
    journal.write([(AT_NS, encode(message)) for message in messages])
    journal.close()
