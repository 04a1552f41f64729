"""A story as names and values, for a machine."""

from typing import Any

from components.signals.core.model import OUTPUTS, edge_of
from components.xtrader.explain.story import Step, Story
from components.xtrader.explain.words import named_features
from components.xtrader.journals import plain


def facts_of(story: Story, model: str | None) -> dict[str, Any]:
    """Give everything that both journals hold about it."""
    price = story.average_price
    return {
        "order": story.client_order_id or story.name,
        "symbol": story.symbol,
        "side": story.side,
        "state": story.state,
        "filled_quantity": story.filled_quantity,
        "average_price": None if price is None else round(price, 6),
        "decision": _decision(story, model),
        "events": [_step(story, step) for step in story.steps],
    }


def _decision(story: Story, model: str | None) -> dict[str, Any] | None:
    decision = story.decision
    if decision is None:
        return None
    intent, evidence = decision.intent, decision.intent.evidence
    return {
        "sequence": story.decision_sequence,
        "allowed": decision.allowed,
        "checks": plain(decision.checked),
        "quote": {"bid": decision.facts.bid_price, "ask": decision.facts.ask_price, "state": decision.facts.book_state},
        "facts": plain(decision.facts),
        "terms": plain(decision.terms),
        "limits_version": decision.limits_version,
        "features": {name: value for name, value, _ in named_features(intent)},
        "model": {"name": model, "hash": evidence.model_hash, "schema_hash": evidence.schema_hash},
        "prediction": dict(zip(OUTPUTS, evidence.prediction, strict=False)),
        "edge": edge_of(evidence.prediction),
        "intent": plain(intent),
        "since_tick_ms": {
            "wanted": story.since_tick_ms(intent.created_at_ns),
            "judged": story.since_tick_ms(decision.facts.now_ns),
        },
    }


def _step(story: Story, step: Step) -> dict[str, Any]:
    entry = plain(step.event)
    entry.pop("frame", None)
    return {
        "sequence": step.sequence,
        "kind": type(step.event).__name__,
        "since_tick_ms": story.since_tick_ms(step.at_ns),
        "entry": entry,
    }
