"""The account's arithmetic: positions after fills, equity, and what is left to buy with.

The venue's truth at this moment: open orders, positions, cash, and every client order id that was ever used.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from components.sandbox.alpaca.core.matching import Execution, Quote
from components.sandbox.alpaca.core.orders import Order, OrderStatus, OrderTerms, OrderType, Side
from components.sandbox.numerics import ZERO

INITIAL_CASH = Decimal(100_000)


MARGIN_MULTIPLIER = Decimal(2)


# A market order is paid for at a price that the market is unlikely to run past before it fills.
MARKET_PRICE_MARGIN = Decimal("1.03")


class Position(Struct, frozen=True):
    """Shares held (negative when short) at their average price."""

    symbol: str
    qty: Decimal
    avg_entry_price: Decimal


class AccountConfiguration(Struct, frozen=True, kw_only=True):
    """What the owner of the account can switch; the names are the venue's."""

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
    """What the account is worth at the present quotes."""

    cash: Decimal
    long_value: Decimal
    short_value: Decimal
    reserved_funds: Decimal

    @property
    def equity(self) -> Decimal:
        """Return cash and positions together."""
        return self.cash + self.long_value + self.short_value

    @property
    def buying_power(self) -> Decimal:
        """Return what new exposure may still cost; half of every position is its margin."""
        exposure = self.long_value - self.short_value
        return max(ZERO, MARGIN_MULTIPLIER * self.equity - exposure - self.reserved_funds)


def apply_fill(position: Position, side: Side, qty: Decimal, price: Decimal) -> Position:
    """Return the position after a fill: adding averages the price, reducing keeps it, crossing zero starts anew."""
    after = position.qty + side.sign * qty
    if after == ZERO:
        return Position(position.symbol, ZERO, ZERO)
    if position.qty * side.sign >= ZERO:
        cost = abs(position.qty) * position.avg_entry_price + qty * price
        return Position(position.symbol, after, cost / abs(after))
    crossed = after * position.qty < ZERO
    return Position(position.symbol, after, price if crossed else position.avg_entry_price)


def reduces_position(position_qty: Decimal, side: Side) -> bool:
    """Tell whether this side brings the position towards zero."""
    return position_qty * side.sign < ZERO


def order_cost(terms: OrderTerms, remaining: Decimal, quote: Quote) -> Decimal:
    """Return what an opening order must be able to pay."""
    if terms.notional is not None:
        return terms.notional
    return remaining * _reserved_price(terms, quote)


def _reserved_price(terms: OrderTerms, quote: Quote) -> Decimal:
    cautious = quote.ask * MARKET_PRICE_MARGIN
    named = terms.limit_price or terms.stop_price
    if terms.side is Side.SELL:
        return max(named or ZERO, cautious)
    if terms.type in {OrderType.LIMIT, OrderType.STOP_LIMIT} and named is not None:
        return named
    return max(named or ZERO, cautious)


def held_for_orders(orders: Iterable[Order], side: Side) -> Decimal:
    """Return how many shares open orders of one side already speak for."""
    return sum((order.remaining for order in orders if order.terms.side is side and not order.waits), ZERO)


def funds_reserved(orders: Iterable[Order], positions: Mapping[str, Position], quotes: Mapping[str, Quote]) -> Decimal:
    """Return the funds that open orders hold back: those that grow a position, at their cautious price."""
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
    """Value the account at the present quotes."""
    values = [held.qty * quotes[held.symbol].mid for held in positions.values()]
    long_value = sum((value for value in values if value > ZERO), ZERO)
    short_value = sum((value for value in values if value < ZERO), ZERO)
    return Balances(cash, long_value, short_value, funds_reserved(orders, positions, quotes))


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
