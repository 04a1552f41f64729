"""An order's history as text: a summary of a few sentences, or the full detail."""

from collections.abc import Iterator, Sequence
from typing import Final

from components.contracts.commands import Cancel, Withdraw
from components.contracts.decisions import CommandRejected, Decision
from components.contracts.orders import ControlReceived, Filled, IntentReceived, OrderSending, OrderUpdated
from components.contracts.signals import Intent
from components.contracts.values import Side, format_decimal
from components.runtime.clock import NS_PER_MS
from components.signals.core.features import SCHEMA
from components.signals.core.model import OUTPUTS, edge_of
from components.xtrader.explain.history import HistoryEvent, OrderHistory
from components.xtrader.formatting import format_duration, format_timestamp

LABEL_WIDTH: Final = 14
SIDE_PAST_TENSE: Final = {Side.BUY: "bought", Side.SELL: "sold"}


def summary_text(history: OrderHistory, model: str | None) -> list[str]:
    """Return the history in a few sentences."""
    decision = history.decision
    lines = [] if decision is None else [_intent_sentence(decision, model), _decision_sentence(decision, history)]
    return [*lines, _outcome_sentence(history)]


def full_text(history: OrderHistory, model: str | None) -> list[str]:
    """Return everything that both journals hold about the order, line by line."""
    lines = [f"{history.client_order_id or history.order_id}: {_outcome(history)}"]
    if history.decision is not None:
        lines += ["", *_decision_lines(history, history.decision, model)]
    if history.events:
        lines += ["", "order", *(_event_line(history, event) for event in history.events)]
    return lines


def describe_intent(intent: Intent) -> str:
    """Return side, quantity, symbol and price of an intent in words."""
    price = "at the market" if intent.limit_price is None else f"at {format_decimal(intent.limit_price)} or better"
    return f"{intent.side} {format_decimal(intent.quantity)} {intent.symbol} {price}"


def _intent_sentence(decision: Decision, model: str | None) -> str:
    intent, inputs = decision.intent, decision.inputs
    quoted = f"{intent.symbol} was quoted {_format_price(inputs.bid_price)} bid, {_format_price(inputs.ask_price)} ask"
    prediction = dict(zip(OUTPUTS, intent.provenance.prediction, strict=False))
    if set(prediction) != set(OUTPUTS):
        return f"{quoted}; {intent.strategy} proposed to {describe_intent(intent)}."
    probabilities = f"{prediction['up']:.0%} up and {prediction['down']:.0%} down"
    named = f"The model ({model})" if model else "The model"
    return f"{quoted}. {named} predicted {probabilities}, so it proposed to {describe_intent(intent)}."


def _decision_sentence(decision: Decision, history: OrderHistory) -> str:
    count, at = len(decision.checks), _time_after_tick(history, decision.inputs.now_ns)
    if decision.allowed:
        return f"Risk ran all {count} checks{at}: all passed, so it sealed an approval."
    reasons = "; ".join(f"{one.name}: {one.observed}, limit {one.limit}" for one in decision.failed_checks)
    return f"Risk ran all {count} checks{at} and refused: {reasons}."


def _outcome_sentence(history: OrderHistory) -> str:
    if not history.events:
        return "No order was sent."
    journaled = next((one.at_ns for one in history.events if isinstance(one.record, IntentReceived)), None)
    before = (
        "" if journaled is None else f"Execution journaled it{_time_after_tick(history, journaled)}, then sent it. "
    )
    last = history.fills[-1] if history.fills else None
    when = "" if last is None else _time_after_tick(history, last.at_ns)
    return f"{before}The order {_outcome(history)}{',' if when else ''}{when}."


def _outcome(history: OrderHistory) -> str:
    if history.fills and history.average_price is not None and history.side is not None:
        price = format_decimal(round(history.average_price, 6))
        return f"{SIDE_PAST_TENSE[history.side]} {format_decimal(history.filled_quantity)} {history.symbol} at {price}"
    if history.state is not None:
        return f"is {history.state.replace('_', ' ')}"
    refused = history.decision is not None and not history.decision.allowed
    return "was refused by risk" if refused else "has not reached execution"


def _decision_lines(history: OrderHistory, decision: Decision, model: str | None) -> Iterator[str]:
    intent, inputs = decision.intent, decision.inputs
    offsets = intent.provenance.input_offsets
    based_on = ", ".join(f"record {one.sequence} of {one.stream} {one.epoch}" for one in offsets) or "no record"
    yield _row("tick", f"{format_timestamp(intent.tick_at_ns)}; based on {based_on}")
    bid, ask = _format_price(inputs.bid_price), _format_price(inputs.ask_price)
    yield _row("quote", f"{bid} bid, {ask} ask, {inputs.book_state}")
    yield from _model_lines(intent, model)
    lifetime = format_duration((intent.expires_at_ns - intent.created_at_ns) / NS_PER_MS)
    created = _time_after_tick(history, intent.created_at_ns)
    details = f"{intent.time_in_force}, {intent.purpose}"
    yield _row("intent", f"{describe_intent(intent)} ({details}),{created}, valid for {lifetime}")
    outcome = "approved" if decision.allowed else "refused"
    passed = sum(one.passed for one in decision.checks)
    where = f"record {history.decision_sequence} of risk's log, limits {decision.limits_version}"
    decided_at = _time_after_tick(history, inputs.now_ns)
    yield _row("decision", f"{outcome},{decided_at}: {passed} of {len(decision.checks)} checks pass ({where})")
    yield from (
        f"  {'passes' if one.passed else 'FAILS':<8} {one.name:<16} {one.observed:<28} limit {one.limit}"
        for one in decision.checks
    )
    if decision.terms is not None:
        valid = format_duration((decision.terms.expires_at_ns - decision.terms.approved_at_ns) / NS_PER_MS)
        yield _row("approval", f"sealed for account {decision.terms.account}, valid for {valid}")


def _model_lines(intent: Intent, model: str | None) -> Iterator[str]:
    provenance = intent.provenance
    if not provenance.model_hash:
        return
    yield _row("model", f"{model or 'not the configured one'} (file {provenance.model_hash})")
    prediction = ", ".join(f"{name} {share:.3f}" for name, share in zip(OUTPUTS, provenance.prediction, strict=False))
    edge = edge_of(provenance.prediction)
    yield _row("prediction", prediction + ("" if edge is None else f", edge {edge:+.3f}"))
    yield _row("features", f"schema {provenance.schema_hash}")
    yield from (f"  {name:<16} {value:>12.6f} {unit}".rstrip() for name, value, unit in named_features(intent))


def named_features(intent: Intent) -> Sequence[tuple[str, float, str]]:
    """Return each feature with its name and unit; numbered if the intent was made with another schema."""
    values = intent.provenance.features
    if intent.provenance.schema_hash != SCHEMA.hash or len(values) != len(SCHEMA.features):
        return [(f"feature {index}", value, "") for index, value in enumerate(values)]
    return [(known.name, value, known.unit) for known, value in zip(SCHEMA.features, values, strict=True)]


def _event_line(history: OrderHistory, event: HistoryEvent) -> str:
    after = history.since_tick_ms(event.at_ns)
    stamp = format_timestamp(event.at_ns) if after is None else f"+{format_duration(after)}"
    return f"  {stamp:>12}  {_event_text(event)}  (record {event.sequence})"


def _event_text(event: HistoryEvent) -> str:
    match event.record:
        case IntentReceived():
            text = "journaled by execution"
        case OrderSending(fence=fence, attempt=attempt):
            text = f"sending, attempt {attempt}" if fence is None else f"sending the fence of attempt {attempt}"
        case OrderUpdated(state=state, source=source, reason=reason):
            text = f"{state.replace('_', ' ')} (from the {source}: {reason})"
        case Filled(quantity=quantity, price=price, source=source):
            text = f"filled {format_decimal(quantity)} at {format_decimal(price)} (from the {source})"
        case ControlReceived(control=Cancel(reason=reason) | Withdraw(reason=reason)):
            text = f"risk revoked it: {reason}"
        case CommandRejected(reject_reason=reject_reason, detail=detail):
            text = f"execution rejected the command: {reject_reason}, {detail}"
        case other:
            text = type(other).__name__
    return text


def _time_after_tick(history: OrderHistory, at_ns: int) -> str:
    elapsed_ms = history.since_tick_ms(at_ns)
    return "" if elapsed_ms is None else f" {format_duration(elapsed_ms)} after the tick"


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}} {text}"


def _format_price(price: object) -> str:
    return "no price" if price is None else str(price)
