"""What the venue's word about one order adds to the journal; late, repeated and reordered words add nothing twice."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.orders import Filled, OrderState, OrderUpdated, Source
from components.contracts.values import ZERO, ExecutionId, VenueOrderId, canonical
from components.execution.core.orders import PRICE_STEP, Order, heard
from components.execution.core.venue import Execution, VenueOrder


@final
class Told(Struct, frozen=True, gc=False):
    """The records to append, and why the venue has to be asked again (empty if it need not)."""

    records: tuple[Filled | OrderUpdated, ...]
    doubt: str = ""


@final
class Word(Struct, frozen=True, gc=False):
    """What came from the venue about an order, and how."""

    order: VenueOrder
    source: Source
    at_ns: int
    execution: Execution | None = None
    is_cancel_refused: bool = False


def missing_execution_id(venue_order_id: VenueOrderId, cumulative_quantity: Decimal) -> ExecutionId:
    """Name an execution that only REST told us of; the same at every start."""
    return ExecutionId(f"{venue_order_id}:{canonical(cumulative_quantity)}")


def told(order: Order, word: Word) -> Told:
    """Hold the venue's word against what we know of the order."""
    seen = word.order
    fills, doubt = _fills(order, word)
    level = fills[-1].cumulative_quantity if fills else order.filled
    if seen.state is None or doubt:
        return Told(tuple(fills), doubt or f"status {seen.word!r} is new to us")
    if seen.filled_quantity < level:
        # An old word: its state is older than what we know. Only an end that contradicts us is worth a question.
        contradicts = seen.state.is_final and not order.state.is_final
        return Told(tuple(fills), f"{seen.word} with less filled than known" if contradicts else "")
    state = heard(order.state, seen.state, level, cancel_refused=word.is_cancel_refused)
    changed = fills or state is not order.state or order.venue_order_id is None
    return Told((*fills, _update(order, word, state, level)) if changed else ())


def executed(order: Order, execution: Execution, *, source: Source, at_ns: int) -> Filled | None:
    """Give the fill that an execution adds; None where it is known already or earlier ones are missing before it."""
    begins_at = execution.cumulative_quantity - execution.quantity
    if execution.execution_id in order.executions or execution.cumulative_quantity <= order.filled:
        return None
    if begins_at > order.filled or execution.price <= ZERO:
        return None
    return Filled(
        execution_id=execution.execution_id,
        intent_id=order.intent_id,
        client_order_id=order.client_order_id,
        venue_order_id=execution.venue_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=execution.cumulative_quantity - order.filled,
        price=execution.price,
        cumulative_quantity=execution.cumulative_quantity,
        source=source,
        venue_at_ns=execution.venue_at_ns,
        at_ns=at_ns,
    )


def first_word(seen: VenueOrder, *, source: Source, reason: str, at_ns: int, filled: Decimal = ZERO) -> OrderUpdated:
    """Begin an order that is not ours; `filled` is what our positions hold of it already."""
    working = OrderState.PARTIALLY_FILLED if filled > ZERO else OrderState.OPEN
    is_counted = seen.state is not None and seen.state.is_final and filled == seen.filled_quantity
    return OrderUpdated(
        intent_id=None,
        client_order_id=seen.client_order_id,
        venue_order_id=seen.venue_order_id,
        symbol=seen.symbol,
        side=seen.side,
        quantity=seen.quantity,
        filled_quantity=filled,
        average_price=seen.average_price if filled > ZERO else None,
        state=seen.state if is_counted and seen.state is not None else working,
        source=source,
        reason=reason,
        at_ns=at_ns,
    )


def _fills(order: Order, word: Word) -> tuple[list[Filled], str]:
    """Give the fills up to the venue's total, the last of them being the execution if one came with the word."""
    seen, execution = word.order, word.execution
    if seen.filled_quantity <= order.filled:
        return [], ""
    if execution is None:
        return _gap(order, word, seen.filled_quantity, ZERO)
    begins_at = seen.filled_quantity - execution.quantity
    before, doubt = _gap(order, word, begins_at, execution.quantity * execution.price)
    level = before[-1].cumulative_quantity if before else order.filled
    fill = executed(replace(order, filled=level), execution, source=word.source, at_ns=word.at_ns)
    return ([*before, fill] if fill is not None else before), doubt


def _gap(order: Order, word: Word, upto: Decimal, spent_after: Decimal) -> tuple[list[Filled], str]:
    """Give one fill for all that is missing below a total, at the price that the venue's average leaves for it."""
    quantity = upto - order.filled
    if quantity <= ZERO:
        return [], ""
    average = word.order.average_price
    if average is None or average <= ZERO:
        return [], f"filled {canonical(word.order.filled_quantity)} without an average price"
    left = (average * word.order.filled_quantity - spent_after - order.spent) / quantity
    price = (left if left > ZERO else average).quantize(PRICE_STEP, ROUND_HALF_EVEN)
    execution = Execution(
        execution_id=missing_execution_id(word.order.venue_order_id, upto),
        venue_order_id=word.order.venue_order_id,
        quantity=quantity,
        price=Decimal(canonical(price)),
        cumulative_quantity=upto,
        venue_at_ns=word.at_ns,
    )
    fill = executed(order, execution, source=word.source, at_ns=word.at_ns)
    return ([fill], "") if fill is not None else ([], "")


def _update(order: Order, word: Word, state: OrderState, level: Decimal) -> OrderUpdated:
    seen = word.order
    return OrderUpdated(
        intent_id=order.intent_id,
        client_order_id=order.client_order_id,
        venue_order_id=seen.venue_order_id,
        symbol=order.symbol,
        side=order.side,
        quantity=order.quantity,
        filled_quantity=level,
        average_price=seen.average_price if seen.filled_quantity == level else None,
        state=state,
        source=word.source,
        reason=seen.word,
        at_ns=word.at_ns,
    )
