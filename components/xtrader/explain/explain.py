"""The `explain` command: finds an order, adds the model's name, and returns the history as text or JSON."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from components.runtime.config.settings import load_settings
from components.signals.config import SignalsConfig
from components.signals.core.model import OUTPUTS, ModelCard, edge_of
from components.xtrader.explain.history import HistoryEvent, OrderHistory, find_history
from components.xtrader.explain.text import full_text, named_features
from components.xtrader.journals import to_plain_values


def history_as_dict(history: OrderHistory, model: str | None) -> dict[str, Any]:
    """Return everything that both journals hold about the order, for the JSON output."""
    price = history.average_price
    return {
        "order": history.client_order_id or history.order_id,
        "symbol": history.symbol,
        "side": history.side,
        "state": history.state,
        "filled_quantity": history.filled_quantity,
        "average_price": None if price is None else round(price, 6),
        "decision": _decision_as_dict(history, model),
        "events": [_event_as_dict(history, event) for event in history.events],
    }


def _decision_as_dict(history: OrderHistory, model: str | None) -> dict[str, Any] | None:
    decision = history.decision
    if decision is None:
        return None
    intent, provenance = decision.intent, decision.intent.provenance
    return {
        "sequence": history.decision_sequence,
        "allowed": decision.allowed,
        "checks": to_plain_values(decision.checks),
        "quote": {
            "bid": decision.inputs.bid_price,
            "ask": decision.inputs.ask_price,
            "state": decision.inputs.book_state,
        },
        "inputs": to_plain_values(decision.inputs),
        "terms": to_plain_values(decision.terms),
        "limits_version": decision.limits_version,
        "features": {name: value for name, value, _ in named_features(intent)},
        "model": {"name": model, "hash": provenance.model_hash, "schema_hash": provenance.schema_hash},
        "prediction": dict(zip(OUTPUTS, provenance.prediction, strict=False)),
        "edge": edge_of(provenance.prediction),
        "intent": to_plain_values(intent),
        "since_tick_ms": {
            "created": history.since_tick_ms(intent.created_at_ns),
            "decided": history.since_tick_ms(decision.inputs.now_ns),
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


def model_name(card: Path, history: OrderHistory) -> str | None:
    """Return the configured model's name if the intent was made with its file; None if with another model."""
    if history.intent is None:
        return None
    try:
        loaded = ModelCard.model_validate(tomllib.loads(card.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError):
        return None
    is_same = loaded.file_hash == history.intent.provenance.model_hash
    return f"{loaded.name} version {loaded.version}" if is_same else None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A history and the name of the model that made its prediction."""

    history: OrderHistory
    model_name: str | None

    def text_lines(self) -> list[str]:
        """Return the lines for a person."""
        return full_text(self.history, self.model_name)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for the JSON output."""
        return history_as_dict(self.history, self.model_name)


def explain_order(order: str) -> Explanation | None:
    """Return the explanation of an order of the configured account; None if neither journal holds it."""
    settings = load_settings({"signals": SignalsConfig})
    history = find_history(settings.paths, order)
    if history is None:
        return None
    card = settings.paths.root / settings.table("signals", SignalsConfig).model
    return Explanation(history, model_name(card, history))
