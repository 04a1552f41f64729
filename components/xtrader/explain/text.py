"""A story told to a person: a few sentences for a newcomer, or every number behind it."""

from collections.abc import Iterator, Sequence
from typing import Final

from components.contracts.commands import Cancel, Withdraw
from components.contracts.decisions import CommandRejected, Decision
from components.contracts.orders import ControlReceived, Filled, IntentReceived, OrderSending, OrderUpdated
from components.contracts.signals import Intent
from components.contracts.values import Side, format_decimal
from components.signals.core.features import SCHEMA
from components.signals.core.model import OUTPUTS, edge_of
from components.xtrader.explain.history import NS_PER_MS, HistoryEvent, OrderHistory
from components.xtrader.formatting import format_duration, format_timestamp

LABEL_WIDTH: Final = 14


SIDE_PAST_TENSE: Final = {Side.BUY: "bought", Side.SELL: "sold"}


def summary_text(history: OrderHistory, model: str | None) -> list[str]:
    """Tell it in a few sentences."""
    decision = history.decision
    lines = [] if decision is None else [_intent_sentence(decision, model), _decision_sentence(decision, history)]
    return [*lines, _outcome_sentence(history)]


def full_text(history: OrderHistory, model: str | None) -> list[str]:
    """Tell everything that both journals hold about it."""
    lines = [f"{history.client_order_id or history.order_id}: {_outcome(history)}"]
    if history.decision is not None:
        lines += ["", *_decision_lines(history, history.decision, model)]
    if history.events:
        lines += ["", "the order", *(_event_line(history, step) for step in history.events)]
    return lines


def describe_intent(intent: Intent) -> str:
    """Say what somebody wanted."""
    priced = "at the market" if intent.limit_price is None else f"at {format_decimal(intent.limit_price)} or better"
    return f"{intent.side} {format_decimal(intent.quantity)} {intent.symbol} {priced}"


def _intent_sentence(decision: Decision, model: str | None) -> str:
    intent, facts = decision.intent, decision.inputs
    quoted = f"{intent.symbol} stood at {_format_price(facts.bid_price)} bid, {_format_price(facts.ask_price)} asked"
    odds = dict(zip(OUTPUTS, intent.provenance.prediction, strict=False))
    if set(odds) != set(OUTPUTS):
        return f"{quoted}; {intent.strategy} wanted to {describe_intent(intent)}."
    chances = f"{odds['up']:.0%} for up and {odds['down']:.0%} for down"
    return f"{quoted}. The model{f' ({model})' if model else ''} gave {chances}, so it wanted to {describe_intent(intent)}."


def _decision_sentence(decision: Decision, history: OrderHistory) -> str:
    count, at = len(decision.checks), _time_after_tick(history, decision.inputs.now_ns)
    if decision.allowed:
        return f"Risk ran all {count} checks{at}: every one held, so it sealed an approval."
    why = "; ".join(f"{one.name}: {one.observed}, allowed is {one.limit}" for one in decision.failed_checks)
    return f"Risk ran all {count} checks{at} and refused: {why}."


def _outcome_sentence(history: OrderHistory) -> str:
    if not history.events:
        return "Nothing was sent."
    written = next((one.at_ns for one in history.events if isinstance(one.record, IntentReceived)), None)
    before = (
        "" if written is None else f"Execution wrote it to disk{_time_after_tick(history, written)}, then sent it. "
    )
    last = history.fills[-1] if history.fills else None
    when = "" if last is None else _time_after_tick(history, last.at_ns)
    return f"{before}In the end it {_outcome(history)}{',' if when else ''}{when}."


def _outcome(history: OrderHistory) -> str:
    if history.fills and history.average_price is not None and history.side is not None:
        price = format_decimal(round(history.average_price, 6))
        return f"{SIDE_PAST_TENSE[history.side]} {format_decimal(history.filled_quantity)} {history.symbol} at {price}"
    if history.state is not None:
        return f"is {history.state.replace('_', ' ')}"
    refused = history.decision is not None and not history.decision.allowed
    return "was refused by risk" if refused else "has not reached execution"


def _decision_lines(history: OrderHistory, decision: Decision, model: str | None) -> Iterator[str]:
    intent, facts = decision.intent, decision.inputs
    seen = (
        ", ".join(f"record {one.sequence} of {one.stream} {one.epoch}" for one in intent.provenance.input_offsets)
        or "nothing"
    )
    yield _row("the tick", f"{format_timestamp(intent.tick_at_ns)}; seen were {seen}")
    yield _row(
        "the quote", f"{_format_price(facts.bid_price)} bid, {_format_price(facts.ask_price)} asked, {facts.book_state}"
    )
    yield from _model_lines(intent, model)
    lifetime = format_duration((intent.expires_at_ns - intent.created_at_ns) / NS_PER_MS)
    written = _time_after_tick(history, intent.created_at_ns)
    yield _row(
        "the wish",
        f"{describe_intent(intent)} ({intent.time_in_force}, {intent.purpose}),{written}, good for {lifetime}",
    )
    verdict = "approved" if decision.allowed else "refused"
    held = sum(one.passed for one in decision.checks)
    where = f"record {history.decision_sequence} of risk's log, limits {decision.limits_version}"
    judged = _time_after_tick(history, facts.now_ns)
    yield _row("the verdict", f"{verdict},{judged}: {held} of {len(decision.checks)} checks hold ({where})")
    yield from (
        f"  {'holds' if one.passed else 'REFUSES':<8} {one.name:<16} {one.observed:<28} limit {one.limit}"
        for one in decision.checks
    )
    if decision.terms is not None:
        valid = format_duration((decision.terms.expires_at_ns - decision.terms.approved_at_ns) / NS_PER_MS)
        yield _row("the approval", f"sealed for account {decision.terms.account}, valid for {valid}")


def _model_lines(intent: Intent, model: str | None) -> Iterator[str]:
    evidence = intent.provenance
    if not evidence.model_hash:
        return
    yield _row("the model", f"{model or 'not the one that is configured now'} (file {evidence.model_hash})")
    odds = ", ".join(f"{name} {share:.3f}" for name, share in zip(OUTPUTS, evidence.prediction, strict=False))
    edge = edge_of(evidence.prediction)
    yield _row("its answer", odds + ("" if edge is None else f": an edge of {edge:+.3f}"))
    yield _row("the features", f"schema {evidence.schema_hash}")
    yield from (f"  {name:<16} {value:>12.6f} {unit}".rstrip() for name, value, unit in named_features(intent))


def named_features(intent: Intent) -> Sequence[tuple[str, float, str]]:
    """Name each feature with its unit; by number where the schema is not the one in use now."""
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
            words = "on execution's disk"
        case OrderSending(fence=fence, attempt=attempt):
            words = f"sending, attempt {attempt}" if fence is None else f"sending the fence of attempt {attempt}"
        case OrderUpdated(state=state, source=source, reason=reason):
            words = f"{state.replace('_', ' ')} (from the {source}: {reason})"
        case Filled(quantity=quantity, price=price, source=source):
            words = f"filled {format_decimal(quantity)} at {format_decimal(price)} (from the {source})"
        case ControlReceived(control=Cancel(reason=reason) | Withdraw(reason=reason)):
            words = f"risk wants it back: {reason}"
        case CommandRejected(reject_reason=fault, detail=detail):
            words = f"execution refused the hand-over: {fault}, {detail}"
        case other:
            words = type(other).__name__
    return words


def _time_after_tick(history: OrderHistory, at_ns: int) -> str:
    passed_ms = history.since_tick_ms(at_ns)
    return "" if passed_ms is None else f" {format_duration(passed_ms)} after the tick"


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL_WIDTH}} {text}"


def _format_price(price: object) -> str:
    return "nothing" if price is None else str(price)
