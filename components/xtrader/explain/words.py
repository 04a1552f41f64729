"""A story told to a person: a few sentences for a newcomer, or every number behind it."""

from collections.abc import Iterator, Sequence
from typing import Final

from components.contracts.commands import Cancel, Withdraw
from components.contracts.decisions import Decision, HandoverRefused
from components.contracts.orders import ControlReceived, Filled, IntentReceived, OrderSending, OrderUpdated
from components.contracts.signals import Intent
from components.contracts.values import Side, canonical
from components.signals.core.model import OUTPUTS, edge_of
from components.signals.core.schema import SCHEMA
from components.xtrader.explain.story import NS_PER_MS, Step, Story
from components.xtrader.explain.telling import moment, span

LABEL: Final = 14
DONE: Final = {Side.BUY: "bought", Side.SELL: "sold"}


def in_short(story: Story, model: str | None) -> list[str]:
    """Tell it in a few sentences."""
    decision = story.decision
    lines = [] if decision is None else [_seen_and_wanted(decision, model), _judged(decision, story)]
    return [*lines, _became(story)]


def in_full(story: Story, model: str | None) -> list[str]:
    """Tell everything that both journals hold about it."""
    lines = [f"{story.client_order_id or story.name}: {_outcome(story)}"]
    if story.decision is not None:
        lines += ["", *_decision_lines(story, story.decision, model)]
    if story.steps:
        lines += ["", "the order", *(_step_line(story, step) for step in story.steps)]
    return lines


def wish(intent: Intent) -> str:
    """Say what somebody wanted."""
    priced = "at the market" if intent.limit_price is None else f"at {canonical(intent.limit_price)} or better"
    return f"{intent.side} {canonical(intent.quantity)} {intent.symbol} {priced}"


def _seen_and_wanted(decision: Decision, model: str | None) -> str:
    intent, facts = decision.intent, decision.facts
    quoted = f"{intent.symbol} stood at {_price(facts.bid_price)} bid, {_price(facts.ask_price)} asked"
    odds = dict(zip(OUTPUTS, intent.evidence.prediction, strict=False))
    if set(odds) != set(OUTPUTS):
        return f"{quoted}; {intent.strategy} wanted to {wish(intent)}."
    chances = f"{odds['up']:.0%} for up and {odds['down']:.0%} for down"
    return f"{quoted}. The model{f' ({model})' if model else ''} gave {chances}, so it wanted to {wish(intent)}."


def _judged(decision: Decision, story: Story) -> str:
    count, at = len(decision.checked), _after(story, decision.facts.now_ns)
    if decision.allowed:
        return f"Risk ran all {count} checks{at}: every one held, so it sealed an approval."
    why = "; ".join(f"{one.code}: {one.observed}, allowed is {one.limit}" for one in decision.refusals)
    return f"Risk ran all {count} checks{at} and refused: {why}."


def _became(story: Story) -> str:
    if not story.steps:
        return "Nothing was sent."
    written = next((one.at_ns for one in story.steps if isinstance(one.event, IntentReceived)), None)
    before = "" if written is None else f"Execution wrote it to disk{_after(story, written)}, then sent it. "
    last = story.fills[-1] if story.fills else None
    when = "" if last is None else _after(story, last.at_ns)
    return f"{before}In the end it {_outcome(story)}{',' if when else ''}{when}."


def _outcome(story: Story) -> str:
    if story.fills and story.average_price is not None and story.side is not None:
        price = canonical(round(story.average_price, 6))
        return f"{DONE[story.side]} {canonical(story.filled_quantity)} {story.symbol} at {price}"
    if story.state is not None:
        return f"is {story.state.replace('_', ' ')}"
    refused = story.decision is not None and not story.decision.allowed
    return "was refused by risk" if refused else "has not reached execution"


def _decision_lines(story: Story, decision: Decision, model: str | None) -> Iterator[str]:
    intent, facts = decision.intent, decision.facts
    seen = ", ".join(f"record {one.sequence} of {one.stream} {one.epoch}" for one in intent.evidence.seen) or "nothing"
    yield _row("the tick", f"{moment(intent.tick_at_ns)}; seen were {seen}")
    yield _row("the quote", f"{_price(facts.bid_price)} bid, {_price(facts.ask_price)} asked, {facts.book_state}")
    yield from _model_lines(intent, model)
    lifetime = span((intent.expires_at_ns - intent.created_at_ns) / NS_PER_MS)
    written = _after(story, intent.created_at_ns)
    yield _row("the wish", f"{wish(intent)} ({intent.time_in_force}, {intent.purpose}),{written}, good for {lifetime}")
    verdict = "approved" if decision.allowed else "refused"
    held = sum(one.holds for one in decision.checked)
    where = f"record {story.decision_sequence} of risk's log, limits {decision.limits_version}"
    judged = _after(story, facts.now_ns)
    yield _row("the verdict", f"{verdict},{judged}: {held} of {len(decision.checked)} checks hold ({where})")
    yield from (
        f"  {'holds' if one.holds else 'REFUSES':<8} {one.code:<16} {one.observed:<28} limit {one.limit}"
        for one in decision.checked
    )
    if decision.terms is not None:
        valid = span((decision.terms.expires_at_ns - decision.terms.approved_at_ns) / NS_PER_MS)
        yield _row("the approval", f"sealed for account {decision.terms.account}, valid for {valid}")


def _model_lines(intent: Intent, model: str | None) -> Iterator[str]:
    evidence = intent.evidence
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
    values = intent.evidence.features
    if intent.evidence.schema_hash != SCHEMA.hash or len(values) != len(SCHEMA.features):
        return [(f"feature {index}", value, "") for index, value in enumerate(values)]
    return [(known.name, value, known.unit) for known, value in zip(SCHEMA.features, values, strict=True)]


def _step_line(story: Story, step: Step) -> str:
    after = story.since_tick_ms(step.at_ns)
    stamp = moment(step.at_ns) if after is None else f"+{span(after)}"
    return f"  {stamp:>12}  {_step_words(step)}  (record {step.sequence})"


def _step_words(step: Step) -> str:
    match step.event:
        case IntentReceived():
            words = "on execution's disk"
        case OrderSending(fence=fence, attempt=attempt):
            words = f"sending, attempt {attempt}" if fence is None else f"sending the fence of attempt {attempt}"
        case OrderUpdated(state=state, source=source, reason=reason):
            words = f"{state.replace('_', ' ')} (from the {source}: {reason})"
        case Filled(quantity=quantity, price=price, source=source):
            words = f"filled {canonical(quantity)} at {canonical(price)} (from the {source})"
        case ControlReceived(control=Cancel(reason=reason) | Withdraw(reason=reason)):
            words = f"risk wants it back: {reason}"
        case HandoverRefused(fault=fault, detail=detail):
            words = f"execution refused the hand-over: {fault}, {detail}"
        case other:
            words = type(other).__name__
    return words


def _after(story: Story, at_ns: int) -> str:
    passed_ms = story.since_tick_ms(at_ns)
    return "" if passed_ms is None else f" {span(passed_ms)} after the tick"


def _row(label: str, text: str) -> str:
    return f"{label:<{LABEL}} {text}"


def _price(price: object) -> str:
    return "nothing" if price is None else str(price)
