"""What the order journal says: a deterministic fold over its records."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.commands import Cancel, CancelAll, Control, SetTradingState, Withdraw
from components.contracts.errors import InvariantError
from components.contracts.orders import (
    Collided,
    ControlReceived,
    Filled,
    IntentReceived,
    Opening,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
    Reconciled,
    VenueChanged,
    VenueCondition,
)
from components.contracts.trading import TradingState
from components.contracts.values import ClientOrderId, CommandId, IntentId, Symbol, VenueOrderId
from components.execution.core.ledger import moved, opened
from components.execution.core.orders import Order, filled, first_heard, received, updated

SEAL_BYTES: Final = 32


@final
class Receipt(Struct, frozen=True, gc=False):
    """Where in the journal an intent was received, and under which seal."""

    sequence: int
    seal: bytes


class ExecutionState:
    """Everything that a restart must know; changed by `apply` only."""

    def __init__(self) -> None:
        """Know nothing, as before the first record."""
        self.sequence = 0
        self.opening: Opening | None = None
        self.orders: dict[str, Order] = {}
        self.unfinished: dict[str, None] = {}
        self.receipts: dict[IntentId, Receipt] = {}
        self.controls: dict[CommandId, int] = {}
        self.withdrawn: set[IntentId] = set()
        self.cancel_wishes: set[ClientOrderId] = set()
        """Names of orders to be cancelled, known by then or not."""
        self.positions: dict[Symbol, Decimal] = {}
        self.fills = 0
        self.trading = TradingState.ACTIVE
        self.has_collided = False
        self.condition: VenueCondition | None = None
        self.reconciled_at_ns = 0
        self._by_venue_id: dict[VenueOrderId, str] = {}
        self._by_intent: dict[IntentId, ClientOrderId] = {}

    def apply(self, record: OrderMessage) -> int:
        """Take in the next record and give its sequence."""
        self.sequence += 1
        match record:
            case IntentReceived():
                self._receive(record)
            case OrderSending():
                self._send(record)
            case OrderUpdated():
                self._update(record)
            case Filled():
                self._fill(record)
            case ControlReceived():
                self._obey(record.control)
            case _:
                self._look_around(record)
        return self.sequence

    def open_orders(self) -> Iterator[Order]:
        """Give every order that is not final yet, the oldest first."""
        return (self.orders[key] for key in self.unfinished)

    def of_intent(self, intent_id: IntentId) -> Order | None:
        """Find the order of an intent."""
        name = self._by_intent.get(intent_id)
        return self.orders[name] if name is not None else None

    def of_client_id(self, client_order_id: ClientOrderId) -> Order | None:
        """Find our order of that name."""
        return self.orders.get(client_order_id)

    def of_venue_id(self, venue_order_id: VenueOrderId) -> Order | None:
        """Find the order that the venue knows under its id."""
        key = self._by_venue_id.get(venue_order_id)
        return self.orders[key] if key is not None else None

    def known(self, record: OrderUpdated | Filled) -> Order | None:
        """Find the order that a record is about."""
        if record.intent_id is not None:
            return self.of_client_id(record.client_order_id)
        return self.of_venue_id(record.venue_order_id) if record.venue_order_id is not None else None

    def _ours(self, client_order_id: ClientOrderId) -> Order:
        order = self.of_client_id(client_order_id)
        if order is None:
            raise InvariantError(f"{client_order_id} is sent before it was received")
        return order

    def _keep(self, order: Order) -> None:
        key = order.key
        self.orders[key] = order
        if order.venue_order_id is not None:
            self._by_venue_id[order.venue_order_id] = key
        if order.state.is_final:
            self.unfinished.pop(key, None)
        else:
            self.unfinished[key] = None

    def _receive(self, record: IntentReceived) -> None:
        intent_id = record.intent.intent_id
        self.receipts[intent_id] = Receipt(self.sequence, record.frame[-SEAL_BYTES:])
        self._by_intent[intent_id] = record.client_order_id
        is_withdrawn, is_cancel_wanted = intent_id in self.withdrawn, record.client_order_id in self.cancel_wishes
        self._keep(received(record, is_withdrawn=is_withdrawn, is_cancel_wanted=is_cancel_wanted))

    def _send(self, record: OrderSending) -> None:
        order = self._ours(record.client_order_id)
        if record.fence is not None:
            self._keep(replace(order, fence=record.fence))
        else:
            self._keep(replace(order, state=OrderState.SENDING))

    def _update(self, record: OrderUpdated) -> None:
        known = self.known(record)
        if known is not None:
            self._keep(updated(known, record))
            return
        order = first_heard(record)
        ours = self.of_client_id(record.client_order_id)
        # A fence has done its work the moment it is accepted; it must not stay at the venue.
        is_fence = not order.is_ours and ours is not None and ours.fence is not None
        self._keep(replace(order, is_cancel_wanted=is_fence or order.client_order_id in self.cancel_wishes))
        if record.intent_id is not None:
            self._by_intent[record.intent_id] = record.client_order_id

    def _fill(self, record: Filled) -> None:
        order = self.known(record)
        if order is None:
            raise InvariantError(f"a fill of {record.client_order_id}, of which the journal knows nothing")
        self._keep(filled(order, record))
        self.positions = moved(self.positions, record)
        self.fills += 1

    def _obey(self, control: Control) -> None:
        self.controls[control.command_id] = self.sequence
        match control:
            case Cancel(client_order_id=name):
                self.cancel_wishes.add(name)
                self._want_cancelled(tuple(order for order in self.open_orders() if order.client_order_id == name))
            case CancelAll():
                self._want_cancelled(tuple(self.open_orders()))
            case Withdraw(intent_id=intent_id):
                self._withdraw(intent_id)
            case SetTradingState(state=state):
                self._turn(state)

    def _withdraw(self, intent_id: IntentId) -> None:
        self.withdrawn.add(intent_id)
        order = self.of_intent(intent_id)
        if order is not None and not order.state.is_final:
            self._keep(replace(order, is_withdrawn=True))

    def _turn(self, state: TradingState) -> None:
        # An id collision is over when risk, having halted because of it, lets trading go on again.
        if self.trading is TradingState.HALTED and state is not TradingState.HALTED:
            self.has_collided = False
        self.trading = state

    def _want_cancelled(self, orders: tuple[Order, ...]) -> None:
        for order in orders:
            self._keep(replace(order, is_cancel_wanted=True))

    def _look_around(self, record: Opening | Reconciled | VenueChanged | Collided) -> None:
        match record:
            case Opening():
                self.opening = record
                self.positions = opened(record.positions)
                self.reconciled_at_ns = record.at_ns
            case Reconciled():
                self.reconciled_at_ns = record.at_ns
            case VenueChanged(condition=condition):
                self.condition = condition
            case Collided():
                self.has_collided = True


def sealed_the_same(receipt: Receipt, frame: bytes) -> bool:
    """Say whether a frame is the one that was received: the seal covers every byte of it."""
    return receipt.seal == frame[-SEAL_BYTES:]
