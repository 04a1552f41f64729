"""The venue's truth at this moment: open orders, positions, cash, and every client order id that was ever used."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from components.sandbox.core.account import (
    INITIAL_CASH,
    AccountConfiguration,
    Balances,
    Position,
    apply_fill,
    value_account,
)
from components.sandbox.core.decimals import ZERO
from components.sandbox.core.matching import Execution, Quote
from components.sandbox.core.orders import Order, OrderStatus, OrderTerms

Sieve = Callable[[Order], bool]


@dataclass(slots=True)
class AccountState:
    """Everything a decision needs to know; what has ended is kept by the ledger only."""

    cash: Decimal = INITIAL_CASH
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    used_client_order_ids: set[str] = field(default_factory=set)
    configuration: AccountConfiguration = field(default_factory=AccountConfiguration)
    quotes: dict[str, Quote] = field(default_factory=dict)
    orders_count: int = 0
    executions_count: int = 0

    def store_order(self, order: Order) -> Order:
        """Remember an order as it is now; one that has ended is left to the ledger."""
        if order.is_open:
            self.orders[order.order_id] = order
        else:
            self.orders.pop(order.order_id, None)
        return order

    def apply_execution(self, order: Order, execution: Execution) -> Order:
        """Move cash and position by one fill; the order may still be cancelled or replaced a moment later."""
        cost = execution.qty * execution.price
        self.cash -= order.terms.side.sign * cost
        self.executions_count += 1
        held = apply_fill(self.position(order.terms.symbol), order.terms.side, execution.qty, execution.price)
        self.positions[held.symbol] = held
        return replace(order, filled_qty=order.filled_qty + execution.qty, filled_cost=order.filled_cost + cost)

    def position(self, symbol: str) -> Position:
        """Return the position in a symbol; a flat one where there is none."""
        return self.positions.get(symbol) or Position(symbol, ZERO, ZERO)

    def open_positions(self) -> list[Position]:
        """List the positions that are not flat."""
        return [position for position in self.positions.values() if position.qty]

    def open_orders_for(self, symbol: str) -> list[Order]:
        """List the open orders of a symbol, oldest first."""
        return [order for order in self.orders.values() if order.terms.symbol == symbol]

    def balances(self, without: str | None = None) -> Balances:
        """Value the account now, as if one order were not there."""
        others: Iterable[Order] = (order for order in self.orders.values() if order.order_id != without)
        return value_account(self.cash, {held.symbol: held for held in self.open_positions()}, others, self.quotes)

    def add_order(self, order_id: str, client_order_id: str, terms: OrderTerms, now_ns: int) -> Order:
        """Write a new order into the books; its client id is used up from here on, whatever happens next."""
        self.orders_count += 1
        self.used_client_order_ids.add(client_order_id)
        return self.store_order(
            Order(
                order_id=order_id,
                client_order_id=client_order_id,
                number=self.orders_count,
                terms=terms,
                status=OrderStatus.ACCEPTED,
                submitted_at_ns=now_ns,
                updated_at_ns=now_ns,
            )
        )
