"""Execution's state: a deterministic projection of the order journal, and the positions counted from it."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.approval import SEAL_BYTES
from components.contracts.commands import Cancel, CancelAll, Control, SetTradingState, Withdraw
from components.contracts.errors import InvariantError
from components.contracts.orders import (
    ClientOrderIdConflict,
    ControlReceived,
    Filled,
    IntentReceived,
    OpeningBalance,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
    Reconciled,
    VenueConnectivity,
    VenueConnectivityChanged,
    VenuePosition,
)
from components.contracts.trading import TradingState
from components.contracts.values import ZERO, ClientOrderId, CommandId, IntentId, Symbol, VenueOrderId
from components.execution.core.order import Order, adopted_order, apply_fill, apply_update, order_from_intent

Positions = Mapping[Symbol, Decimal]
"""Quantity by symbol, negative when short, without flat symbols."""


@final
class Receipt(Struct, frozen=True, gc=False):
    """Sequence of the record by which an intent was received, and the seal of its frame, which covers every byte."""

    sequence: int
    seal: bytes


class ExecutionState:
    """Everything that must survive a restart; changed by `apply` only."""

    def __init__(self) -> None:
        """Create the state before the first record."""
        self.sequence = 0
        self.opening: OpeningBalance | None = None
        self.orders: dict[str, Order] = {}
        self.open_keys: dict[str, None] = {}
        self.receipts: dict[IntentId, Receipt] = {}
        self.controls: dict[CommandId, int] = {}
        self.withdrawn: set[IntentId] = set()
        self.pending_cancels: set[ClientOrderId] = set()
        """Client order ids to cancel, also of orders that are not known yet."""
        self.positions: dict[Symbol, Decimal] = {}
        self.fill_count = 0
        self.trading_state = TradingState.ACTIVE
        self.has_id_conflict = False
        self.venue_connectivity: VenueConnectivity | None = None
        self.reconciled_at_ns = 0
        self._by_venue_id: dict[VenueOrderId, str] = {}
        self._by_intent: dict[IntentId, ClientOrderId] = {}

    def apply(self, record: OrderMessage) -> int:
        """Apply the next record and return its sequence."""
        self.sequence += 1
        match record:
            case IntentReceived():
                self._apply_received(record)
            case OrderSending():
                self._apply_sending(record)
            case OrderUpdated():
                self._apply_update(record)
            case Filled():
                self._apply_fill(record)
            case ControlReceived():
                self._apply_control(record.control)
            case _:
                self._apply_account_record(record)
        return self.sequence

    def open_orders(self) -> Iterator[Order]:
        """Return every order that is not final, oldest first."""
        return (self.orders[key] for key in self.open_keys)

    def order_by_intent(self, intent_id: IntentId) -> Order | None:
        """Return the order of an intent, or None."""
        name = self._by_intent.get(intent_id)
        return self.orders[name] if name is not None else None

    def order_by_client_id(self, client_order_id: ClientOrderId) -> Order | None:
        """Return our order with this client order id, or None."""
        return self.orders.get(client_order_id)

    def order_by_venue_id(self, venue_order_id: VenueOrderId) -> Order | None:
        """Return the order with this id of the venue, or None."""
        key = self._by_venue_id.get(venue_order_id)
        return self.orders[key] if key is not None else None

    def order_for_record(self, record: OrderUpdated | Filled) -> Order | None:
        """Return the order that a record is about, or None."""
        if record.intent_id is not None:
            return self.order_by_client_id(record.client_order_id)
        return self.order_by_venue_id(record.venue_order_id) if record.venue_order_id is not None else None

    def _own_order(self, client_order_id: ClientOrderId) -> Order:
        order = self.order_by_client_id(client_order_id)
        if order is None:
            raise InvariantError(f"{client_order_id} is sent but was never received")
        return order

    def _store(self, order: Order) -> None:
        key = order.key
        self.orders[key] = order
        if order.venue_order_id is not None:
            self._by_venue_id[order.venue_order_id] = key
        if order.state.is_final:
            self.open_keys.pop(key, None)
        else:
            self.open_keys[key] = None

    def _apply_received(self, record: IntentReceived) -> None:
        intent_id = record.intent.intent_id
        self.receipts[intent_id] = Receipt(self.sequence, record.frame[-SEAL_BYTES:])
        self._by_intent[intent_id] = record.client_order_id
        is_withdrawn, is_cancel_requested = intent_id in self.withdrawn, record.client_order_id in self.pending_cancels
        self._store(order_from_intent(record, is_withdrawn=is_withdrawn, is_cancel_requested=is_cancel_requested))

    def _apply_sending(self, record: OrderSending) -> None:
        order = self._own_order(record.client_order_id)
        if record.fence is not None:
            self._store(replace(order, fence=record.fence))
        else:
            self._store(replace(order, state=OrderState.SENDING))

    def _apply_update(self, record: OrderUpdated) -> None:
        known = self.order_for_record(record)
        if known is not None:
            self._store(apply_update(known, record))
            return
        order = adopted_order(record)
        ours = self.order_by_client_id(record.client_order_id)
        # A fence has served its purpose once it is accepted; it must not stay at the venue.
        is_fence = not order.is_ours and ours is not None and ours.fence is not None
        self._store(replace(order, is_cancel_requested=is_fence or order.client_order_id in self.pending_cancels))
        if record.intent_id is not None:
            self._by_intent[record.intent_id] = record.client_order_id

    def _apply_fill(self, record: Filled) -> None:
        order = self.order_for_record(record)
        if order is None:
            raise InvariantError(f"a fill of {record.client_order_id}, which is not in the journal")
        self._store(apply_fill(order, record))
        self.positions = positions_after(self.positions, record)
        self.fill_count += 1

    def _apply_control(self, control: Control) -> None:
        self.controls[control.command_id] = self.sequence
        match control:
            case Cancel(client_order_id=name):
                self.pending_cancels.add(name)
                self._request_cancels(tuple(order for order in self.open_orders() if order.client_order_id == name))
            case CancelAll():
                self._request_cancels(tuple(self.open_orders()))
            case Withdraw(intent_id=intent_id):
                self._withdraw(intent_id)
            case SetTradingState(state=state):
                self._set_trading_state(state)

    def _withdraw(self, intent_id: IntentId) -> None:
        self.withdrawn.add(intent_id)
        order = self.order_by_intent(intent_id)
        if order is not None and not order.state.is_final:
            self._store(replace(order, is_withdrawn=True))

    def _set_trading_state(self, state: TradingState) -> None:
        # An id conflict is over when risk, which halted because of it, permits trading again.
        if self.trading_state is TradingState.HALTED and state is not TradingState.HALTED:
            self.has_id_conflict = False
        self.trading_state = state

    def _request_cancels(self, orders: tuple[Order, ...]) -> None:
        for order in orders:
            self._store(replace(order, is_cancel_requested=True))

    def _apply_account_record(
        self, record: OpeningBalance | Reconciled | VenueConnectivityChanged | ClientOrderIdConflict
    ) -> None:
        match record:
            case OpeningBalance():
                self.opening = record
                self.positions = quantities_by_symbol(record.positions)
                self.reconciled_at_ns = record.at_ns
            case Reconciled():
                self.reconciled_at_ns = record.at_ns
            case VenueConnectivityChanged(connectivity=condition):
                self.venue_connectivity = condition
            case ClientOrderIdConflict():
                self.has_id_conflict = True


def quantities_by_symbol(positions: Iterable[VenuePosition]) -> dict[Symbol, Decimal]:
    """Return the venue's positions by symbol, without flat symbols."""
    return {position.symbol: position.quantity for position in positions if position.quantity != ZERO}


def positions_after(positions: Positions, fill: Filled) -> dict[Symbol, Decimal]:
    """Return the positions after a fill."""
    after = dict(positions)
    after[fill.symbol] = after.get(fill.symbol, ZERO) + fill.side.sign * fill.quantity
    if after[fill.symbol] == ZERO:
        del after[fill.symbol]
    return after
