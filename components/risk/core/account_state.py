"""Orders that may still move a position: approved, on their way, unknown or working."""

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.decisions import Decision
from components.contracts.orders import Filled, IntentReceived, OrderSending, OrderState, OrderUpdated
from components.contracts.signals import ApprovalTerms, Intent
from components.contracts.values import ZERO, ClientOrderId, IntentId, Quantity, Side, Symbol


class LiveOrder(Struct, frozen=True, array_like=True, gc=False):
    """An order whose exposure is reserved; `state` is None until execution says that it has it.

    Only our own have an intent and terms; orders that somebody else placed on the account count just the same.
    """

    symbol: Symbol
    side: Side
    quantity: Quantity
    filled: Quantity = ZERO
    state: OrderState | None = None
    client_order_id: ClientOrderId | None = None
    working_since_ns: int = 0
    intent: Intent | None = None
    terms: ApprovalTerms | None = None

    @property
    def remaining(self) -> Quantity:
        """What it may still fill."""
        return max(self.quantity - self.filled, ZERO)

    @property
    def is_closed(self) -> bool:
        """Say whether it is final and every fill it told of has been counted."""
        return self.state is not None and self.state.is_final and self.remaining <= ZERO

    def is_own_working_before(self, since_ns: int) -> bool:
        """Say whether it is our own and has been working since before then."""
        is_working = self.intent is not None and self.state is not None and self.state.is_working
        return is_working and 0 < self.working_since_ns < since_ns


def order_key(intent_id: IntentId | None, client_order_id: ClientOrderId) -> str:
    """Name an order in our books; a stranger's name holds a sign that no intent id can have."""
    return intent_id if intent_id is not None else f"~{client_order_id}"


def live_order_from(decision: Decision) -> LiveOrder:
    """Reserve what was just approved."""
    intent = decision.intent
    return LiveOrder(intent.symbol, intent.side, intent.quantity, intent=intent, terms=decision.terms)


def apply_received(order: LiveOrder | None, event: IntentReceived) -> LiveOrder:
    """Note that execution has it; an approval we had written off is reserved again."""
    intent = event.intent
    known = order or LiveOrder(intent.symbol, intent.side, intent.quantity, intent=intent, terms=event.terms)
    return replace(known, state=OrderState.RECEIVED, client_order_id=event.client_order_id)


def apply_sending(order: LiveOrder, event: OrderSending) -> LiveOrder:
    """Note under which name it leaves."""
    return replace(order, state=OrderState.SENDING, client_order_id=event.client_order_id)


def apply_update(order: LiveOrder | None, event: OrderUpdated) -> LiveOrder:
    """Move to the state that execution states.

    A final order keeps reserved only the fills that are announced and not counted yet.
    """
    known = order or LiveOrder(event.symbol, event.side, event.quantity, filled=event.filled_quantity)
    since_ns = known.working_since_ns or (event.at_ns if event.state.is_working else 0)
    quantity = max(event.filled_quantity, known.filled) if event.state.is_final else known.quantity
    return replace(
        known,
        state=event.state,
        quantity=quantity,
        client_order_id=event.client_order_id,
        working_since_ns=since_ns,
    )


def apply_execution(order: LiveOrder, event: Filled) -> LiveOrder:
    """Take one execution off what is reserved.

    Our own fills are all counted here, one by one; of a stranger's order we may have missed the first.
    """
    counted = order.filled + event.quantity if order.intent else max(order.filled, event.cumulative_quantity)
    return replace(order, filled=counted)


def is_unsent(order: LiveOrder) -> bool:
    """Say whether the order may still be held back: it has not left execution."""
    return order.intent is not None and order.state in (None, OrderState.RECEIVED)
