"""The simulated venue's matching, fills and positions, independent of what any process knows of them."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from components.contracts.market import Quote
from components.contracts.orders import OrderState, VenuePosition
from components.contracts.values import (
    ZERO,
    ClientOrderId,
    ExecutionId,
    OrderType,
    Side,
    Symbol,
    TimeInForce,
    Venue,
    VenueOrderId,
)
from components.execution.core.venue_messages import (
    CancelAccepted,
    DuplicateId,
    EventKind,
    Execution,
    OrderAccepted,
    OrderNotFound,
    RequestRejected,
    VenueOrder,
    VenueOrderEvent,
)
from components.xtrader.simulation.invariants import InvariantViolated
from components.xtrader.simulation.scheduler import Randomness, Scheduler, SimulatedClock
from components.xtrader.simulation.settings import POSITION_MAX, SYMBOLS

ALPACA: Final = Venue("alpaca")
UNPROCESSABLE: Final = 422
MATCH_MS_MAX: Final = 12
CANCEL_MS_MAX: Final = 60
CENT: Final = Decimal("0.01")
AMPLE: Final = Decimal(100)
"""The value where only its presence matters: quoted sizes, entry prices, cash."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """The terms of an order."""

    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    limit_price: Decimal | None
    time_in_force: TimeInForce
    is_fence: bool


@dataclass(slots=True)
class ExchangeOrder:
    """An order at the venue."""

    terms: OrderTerms
    venue_order_id: VenueOrderId
    filled: Decimal = ZERO
    filled_notional: Decimal = ZERO
    state: OrderState = OrderState.OPEN

    @property
    def remaining(self) -> Decimal:
        """The unfilled quantity."""
        return self.terms.quantity - self.filled

    def as_venue_order(self) -> VenueOrder:
        """Return the order as the venue's API reports it."""
        terms = self.terms
        return VenueOrder(
            venue_order_id=self.venue_order_id,
            client_order_id=terms.client_order_id,
            symbol=terms.symbol,
            side=terms.side,
            quantity=terms.quantity,
            order_type=OrderType.MARKET if terms.limit_price is None else OrderType.LIMIT,
            limit_price=terms.limit_price,
            filled_quantity=self.filled,
            average_price=self.filled_notional / self.filled if self.filled else None,
            state=self.state,
            venue_status=self.state.value,
        )


class SimulatedExchange:
    """Accepts orders, fills them in parts, cancels late, and rejects a client order id that was used before."""

    def __init__(self, scheduler: Scheduler, randomness: Randomness, clock: SimulatedClock) -> None:
        self._scheduler, self._randomness, self._clock = scheduler, randomness, clock
        self.orders: dict[VenueOrderId, ExchangeOrder] = {}
        self.by_client_id: dict[ClientOrderId, ExchangeOrder] = {}
        self.fills: list[Execution] = []
        self.positions: dict[Symbol, Decimal] = {}
        self.quotes: dict[Symbol, Quote] = {}
        self._price_cents = {Symbol(name): 10_000 for name in SYMBOLS}
        self.on_order_event: Callable[[VenueOrderEvent], None] = lambda _: None
        """Receives the order events."""

    def set_position(self, symbol: Symbol, quantity: int) -> None:
        """Set a position before the run starts."""
        if quantity:
            self.positions[symbol] = Decimal(quantity)

    def submit(self, terms: OrderTerms) -> OrderAccepted | DuplicateId | RequestRejected:
        """Accept an order; a client order id is accepted only once."""
        if terms.client_order_id in self.by_client_id:
            return DuplicateId("client_order_id must be unique")
        self._check_one_order_per_intent(terms)
        order = ExchangeOrder(terms, VenueOrderId(f"v{len(self.orders) + 1}"))
        self.orders[order.venue_order_id] = self.by_client_id[terms.client_order_id] = order
        accepted = OrderAccepted(order.as_venue_order())
        self.on_order_event(VenueOrderEvent(EventKind.STATUS, order.as_venue_order(), None))
        self._scheduler.after(self._randomness.duration_ns(0, MATCH_MS_MAX), lambda: self._match(order))
        return accepted

    def cancel(self, venue_order_id: VenueOrderId) -> CancelAccepted | OrderNotFound | RequestRejected:
        """Accept a cancel; until it takes effect the order may still fill."""
        order = self.orders.get(venue_order_id)
        if order is None:
            return OrderNotFound()
        if order.state.is_final:
            return RequestRejected(UNPROCESSABLE, f"order is already {order.state}")
        self._scheduler.after(self._randomness.duration_ns(0, CANCEL_MS_MAX), lambda: self._cancel_rest(order))
        return CancelAccepted()

    def cancel_all(self) -> None:
        """Accept a cancel of every working order."""
        for order in self.working_orders():
            self.cancel(order.venue_order_id)

    def working_orders(self) -> list[ExchangeOrder]:
        """Return the orders that can still fill."""
        return [order for order in self.orders.values() if not order.state.is_final]

    def venue_positions(self) -> tuple[VenuePosition, ...]:
        """Return the positions as the venue's API reports them."""
        return tuple(VenuePosition(symbol, quantity, AMPLE) for symbol, quantity in self.positions.items() if quantity)

    def move_price(self) -> Quote:
        """Move one symbol's price by a random step, fill the orders it reaches, and return the new quote."""
        random = self._randomness.random
        symbol = random.choice(tuple(self._price_cents))
        self._price_cents[symbol] = max(self._price_cents[symbol] + random.randint(-3, 3), 5_000)
        bid, ask = (self._price_cents[symbol] - random.randint(0, 2)) * CENT, (self._price_cents[symbol] + 1) * CENT
        now_ns = self._clock.now_ns()
        quote = Quote(ALPACA, symbol, bid, AMPLE, ask, AMPLE, now_ns, now_ns)
        self.quotes[symbol] = quote
        for order in self.working_orders():
            if order.terms.symbol == symbol and order.terms.time_in_force is not TimeInForce.IOC:
                self._fill_partially(order)
        return quote

    def _check_one_order_per_intent(self, terms: OrderTerms) -> None:
        intent = terms.client_order_id.rpartition("-")[0]
        for order in self.orders.values():
            is_same = order.terms.client_order_id.rpartition("-")[0] == intent
            if is_same and not (order.terms.is_fence or terms.is_fence):
                raise InvariantViolated(f"intent {intent} has two orders at the venue")

    def _match(self, order: ExchangeOrder) -> None:
        self._fill_partially(order)
        if order.terms.time_in_force is TimeInForce.IOC:
            self._fill_partially(order)
            self._cancel_rest(order)

    def _fill_partially(self, order: ExchangeOrder) -> None:
        price = self._executable_price(order.terms)
        if price is None or order.state.is_final or self._randomness.happens(0.15):
            return
        is_complete = self._randomness.happens(0.6)
        lot = order.remaining if is_complete else Decimal(self._randomness.random.randint(1, int(order.remaining)))
        self._fill(order, lot, price)

    def _executable_price(self, terms: OrderTerms) -> Decimal | None:
        quote = self.quotes.get(terms.symbol)
        if quote is None:
            return None
        price = quote.ask_price if terms.side is Side.BUY else quote.bid_price
        limit = terms.limit_price
        is_executable = limit is None or (limit >= price if terms.side is Side.BUY else limit <= price)
        return price if is_executable else None

    def _fill(self, order: ExchangeOrder, quantity: Decimal, price: Decimal) -> None:
        terms = order.terms
        order.filled += quantity
        order.filled_notional += quantity * price
        order.state = OrderState.FILLED if order.remaining == ZERO else OrderState.PARTIALLY_FILLED
        position = self.positions.get(terms.symbol, ZERO) + terms.side.sign * quantity
        self.positions[terms.symbol] = position
        if abs(position) > POSITION_MAX:
            raise InvariantViolated(f"{position} {terms.symbol} at the venue, beyond the limit of {POSITION_MAX}")
        execution_id = ExecutionId(f"x{len(self.fills) + 1}")
        fill = Execution(
            execution_id=execution_id,
            venue_order_id=order.venue_order_id,
            quantity=quantity,
            price=price,
            cumulative_quantity=order.filled,
            venue_at_ns=self._clock.now_ns(),
        )
        self.fills.append(fill)
        self.on_order_event(VenueOrderEvent(EventKind.EXECUTION, order.as_venue_order(), fill))

    def _cancel_rest(self, order: ExchangeOrder) -> None:
        if not order.state.is_final:
            order.state = OrderState.CANCELLED
            self.on_order_event(VenueOrderEvent(EventKind.STATUS, order.as_venue_order(), None))
