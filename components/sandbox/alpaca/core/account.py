"""The account: positions after fills, equity, buying power, and the current orders, positions and cash."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.alpaca.core.matching import Execution, Quote
from components.sandbox.alpaca.core.orders import Order, OrderStatus, OrderTerms, OrderType, Side
from components.sandbox.numerics import ZERO

INITIAL_CASH = Decimal(100_000)
MARGIN_MULTIPLIER = Decimal(2)
# A market order reserves cash at a price that the market is unlikely to exceed before it fills.
MARKET_PRICE_MARGIN = Decimal("1.03")


class Position(Struct, frozen=True):
    """Shares held (negative when short) at their average price."""

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal


class AccountConfiguration(Struct, frozen=True, kw_only=True):
    """Settings that the account's owner can change; the field names are Alpaca's."""

    dtbp_check: str = "entry"
    fractional_trading: bool = True
    max_margin_multiplier: str = "2"
    max_options_trading_level: int | None = None
    no_shorting: bool = False
    pdt_check: str = "entry"
    ptp_no_exception_entry: bool = False
    suspend_trade: bool = False
    trade_confirm_email: str = "all"
    disable_overnight_trading: bool = False


class Balances(Struct, frozen=True):
    """The value of the account at the current quotes."""

    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    reserved_funds: Decimal

    @property
    def equity(self) -> Decimal:
        """Return cash plus the value of all positions."""
        return self.cash + self.long_value + self.short_value

    @property
    def buying_power(self) -> Decimal:
        """Return the funds available for new exposure; the margin of a position is half of its value."""
        exposure = self.long_value - self.short_value
        return max(ZERO, MARGIN_MULTIPLIER * self.equity - exposure - self.reserved_funds)


def apply_fill(position: Position, side: Side, qty: Decimal, price: Decimal) -> Position:
    """Return the position after a fill.

    Adding averages the price, reducing keeps it, crossing zero sets the fill's price.
    """
    after = position.qty + side.sign * qty
    if after == ZERO:
        return Position(position.symbol, ZERO, ZERO)
    if position.qty * side.sign >= ZERO:
        cost = abs(position.qty) * position.avg_entry_price + qty * price
        return Position(position.symbol, after, cost / abs(after))
    crossed = after * position.qty < ZERO
    return Position(position.symbol, after, price if crossed else position.avg_entry_price)


def reduces_position(position_qty: Decimal, side: Side) -> bool:
    """Return whether this side moves the position towards zero."""
    return position_qty * side.sign < ZERO


def order_cost(terms: OrderTerms, remaining: Decimal, quote: Quote) -> Decimal:
    """Return the funds that an opening order needs."""
    if terms.notional is not None:
        return terms.notional
    return remaining * _reserved_price(terms, quote)


def _reserved_price(terms: OrderTerms, quote: Quote) -> Decimal:
    conservative = quote.ask * MARKET_PRICE_MARGIN
    order_price = terms.limit_price or terms.stop_price
    if terms.side is Side.SELL:
        return max(order_price or ZERO, conservative)
    if terms.type in {OrderType.LIMIT, OrderType.STOP_LIMIT} and order_price is not None:
        return order_price
    return max(order_price or ZERO, conservative)


def held_for_orders(orders: Iterable[Order], side: Side) -> Decimal:
    """Return the number of shares reserved by open orders of one side."""
    return sum((order.remaining for order in orders if order.terms.side is side and not order.waits), ZERO)


def funds_reserved(orders: Iterable[Order], positions: Mapping[str, Position], quotes: Mapping[str, Quote]) -> Decimal:
    """Return the funds reserved by open orders that increase a position, each at its conservative price."""
    total = ZERO
    for order in orders:
        if order.waits:
            continue
        position = positions.get(order.terms.symbol)
        if position is None or not reduces_position(position.qty, order.terms.side):
            total += order_cost(order.terms, order.remaining, quotes[order.terms.symbol])
    return total


def value_account(
    cash: Decimal,
    positions: Mapping[str, Position],
    orders: Iterable[Order],
    quotes: Mapping[str, Quote],
) -> Balances:
    """Return the balances at the current quotes."""
    values = [held.qty * quotes[held.symbol].mid for held in positions.values()]
    long_value = sum((value for value in values if value > ZERO), ZERO)
    short_value = sum((value for value in values if value < ZERO), ZERO)
    return Balances(cash, long_value, short_value, funds_reserved(orders, positions, quotes))


@dataclass(slots=True)
class AccountState:
    """The open orders, positions, cash and used client order ids; ended orders are only in the ledger."""

    cash: Decimal = INITIAL_CASH
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    used_client_order_ids: set[str] = field(default_factory=set)
    configuration: AccountConfiguration = field(default_factory=AccountConfiguration)
    quotes: dict[str, Quote] = field(default_factory=dict)
    orders_count: int = 0
    executions_count: int = 0

    def store_order(self, order: Order) -> Order:
        """Store the new state of an order, or remove it if it has ended."""
        if order.is_open:
            self.orders[order.order_id] = order
        else:
            self.orders.pop(order.order_id, None)
        return order

    def apply_execution(self, order: Order, execution: Execution) -> Order:
        """Apply one fill to cash and position; return the order with its fill, not yet stored."""
        cost = execution.qty * execution.price
        self.cash -= order.terms.side.sign * cost
        self.executions_count += 1
        held = apply_fill(self.position(order.terms.symbol), order.terms.side, execution.qty, execution.price)
        self.positions[held.symbol] = held
        return replace(order, filled_qty=order.filled_qty + execution.qty, filled_cost=order.filled_cost + cost)

    def position(self, symbol: str) -> Position:
        """Return the position in a symbol; a flat one if there is none."""
        return self.positions.get(symbol) or Position(symbol, ZERO, ZERO)

    def open_positions(self) -> list[Position]:
        """Return the positions that are not flat."""
        return [position for position in self.positions.values() if position.qty]

    def open_orders_for(self, symbol: str) -> list[Order]:
        """Return the open orders of a symbol, oldest first."""
        return [order for order in self.orders.values() if order.terms.symbol == symbol]

    def balances(self, without: str | None = None) -> Balances:
        """Return the current balances, optionally computed as if one order did not exist."""
        others: Iterable[Order] = (order for order in self.orders.values() if order.order_id != without)
        return value_account(self.cash, {held.symbol: held for held in self.open_positions()}, others, self.quotes)

    def add_order(self, order_id: str, client_order_id: str, terms: OrderTerms, now_ns: int) -> Order:
        """Add a new order. Its client order id counts as used from here on, whatever becomes of the order."""
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
