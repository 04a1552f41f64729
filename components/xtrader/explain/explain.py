"""A story as names and values, for a machine."""

from typing import Any

from components.signals.core.model import OUTPUTS, edge_of
from components.xtrader.explain.story import HistoryEvent, OrderHistory
from components.xtrader.explain.words import named_features
from components.xtrader.journals import to_plain_values


def history_as_dict(history: OrderHistory, model: str | None) -> dict[str, Any]:
    """Give everything that both journals hold about it."""
    price = history.average_price
    return {
        "order": history.client_order_id or history.order_id,
        "symbol": history.symbol,
        "side": history.side,
        "state": history.state,
        "filled_quantity": history.filled_quantity,
        "average_price": None if price is None else round(price, 6),
        "decision": _decision_as_dict(history, model),
        "events": [_event_as_dict(history, step) for step in history.events],
    }


def _decision_as_dict(history: OrderHistory, model: str | None) -> dict[str, Any] | None:
    decision = history.decision
    if decision is None:
        return None
    intent, evidence = decision.intent, decision.intent.provenance
    return {
        "sequence": history.decision_sequence,
        "allowed": decision.allowed,
        "checks": to_plain_values(decision.checks),
        "quote": {
            "bid": decision.inputs.bid_price,
            "ask": decision.inputs.ask_price,
            "state": decision.inputs.book_state,
        },
        "facts": to_plain_values(decision.inputs),
        "terms": to_plain_values(decision.terms),
        "limits_version": decision.limits_version,
        "features": {name: value for name, value, _ in named_features(intent)},
        "model": {"name": model, "hash": evidence.model_hash, "schema_hash": evidence.schema_hash},
        "prediction": dict(zip(OUTPUTS, evidence.prediction, strict=False)),
        "edge": edge_of(evidence.prediction),
        "intent": to_plain_values(intent),
        "since_tick_ms": {
            "wanted": history.since_tick_ms(intent.created_at_ns),
            "judged": history.since_tick_ms(decision.inputs.now_ns),
        },
    }


def _event_as_dict(history: OrderHistory, event: HistoryEvent) -> dict[str, Any]:
    entry = to_plain_values(event.record)
    entry.pop("frame", None)
    return {
        "sequence": event.sequence,
        "kind": type(event.record).__name__,
        "since_tick_ms": history.since_tick_ms(event.at_ns),
        "entry": entry,
    }
