"""The simulated venue's own books: every order, fill and position as it is, whoever knows of it."""

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
from components.execution.core.venue import (
    CancelAccepted,
    DuplicateId,
    EventKind,
    Execution,
    OrderAccepted,
    OrderEvent,
    OrderMissing,
    OrderRefused,
    VenueOrder,
)
from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.schedule import Schedule, SimulatedClock
from components.xtrader.simulation.settings import POSITION_MAX, SYMBOLS
from components.xtrader.simulation.witness import PromiseBroken

ALPACA: Final = Venue("alpaca")
UNPROCESSABLE: Final = 422
MATCH_MS_MAX: Final = 12
CANCEL_MS_MAX: Final = 60
CENT: Final = Decimal("0.01")
LOTS: Final = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was ordered."""

    client_order_id: ClientOrderId
    symbol: Symbol
    side: Side
    quantity: Decimal
    limit_price: Decimal | None
    time_in_force: TimeInForce
    is_fence: bool


@dataclass(slots=True)
class Standing:
    """One order of the books."""

    terms: Terms
    venue_order_id: VenueOrderId
    filled: Decimal = ZERO
    spent: Decimal = ZERO
    state: OrderState = OrderState.OPEN

    @property
    def left(self) -> Decimal:
        """Give what is not filled."""
        return self.terms.quantity - self.filled

    def told(self) -> VenueOrder:
        """State it as the venue does."""
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
            average_price=self.spent / self.filled if self.filled else None,
            state=self.state,
            word=self.state.value,
        )


class Books:
    """Accepts, fills in parts, cancels late, refuses an id that was used before; never forgets."""

    def __init__(self, schedule: Schedule, chance: Chance, clock: SimulatedClock) -> None:
        self._schedule, self._chance, self._clock = schedule, chance, clock
        self.orders: dict[VenueOrderId, Standing] = {}
        self.by_client_id: dict[ClientOrderId, Standing] = {}
        self.fills: list[Execution] = []
        self.positions: dict[Symbol, Decimal] = {}
        self.quotes: dict[Symbol, Quote] = {}
        self._cents = {Symbol(name): 10_000 for name in SYMBOLS}
        self.say: Callable[[OrderEvent], None] = lambda _: None
        """Where order events go."""

    def open_with(self, symbol: Symbol, quantity: int) -> None:
        """Hold something before anybody looks."""
        if quantity:
            self.positions[symbol] = Decimal(quantity)

    def place(self, terms: Terms) -> OrderAccepted | DuplicateId | OrderRefused:
        """Take an order; a client id is used once, for ever."""
        if terms.client_order_id in self.by_client_id:
            return DuplicateId("client_order_id must be unique")
        self._refuse_two_of_one_intent(terms)
        order = Standing(terms, VenueOrderId(f"v{len(self.orders) + 1}"))
        self.orders[order.venue_order_id] = self.by_client_id[terms.client_order_id] = order
        accepted = OrderAccepted(order.told())
        self.say(OrderEvent(EventKind.STATUS, order.told(), None))
        self._schedule.after(self._chance.between_ms(0, MATCH_MS_MAX), lambda: self._match(order))
        return accepted

    def cancel(self, venue_order_id: VenueOrderId) -> CancelAccepted | OrderMissing | OrderRefused:
        """Promise to cancel; until it is done the order may still fill."""
        order = self.orders.get(venue_order_id)
        if order is None:
            return OrderMissing()
        if order.state.is_final:
            return OrderRefused(UNPROCESSABLE, f"order is already {order.state}")
        self._schedule.after(self._chance.between_ms(0, CANCEL_MS_MAX), lambda: self._end(order))
        return CancelAccepted()

    def cancel_all(self) -> None:
        """Promise to cancel everything."""
        for order in self.working():
            self.cancel(order.venue_order_id)

    def working(self) -> list[Standing]:
        """Give the orders that can still fill."""
        return [order for order in self.orders.values() if not order.state.is_final]

    def holdings(self) -> tuple[VenuePosition, ...]:
        """State the positions as the venue does."""
        return tuple(VenuePosition(symbol, quantity, LOTS) for symbol, quantity in self.positions.items() if quantity)

    def move(self) -> Quote:
        """Let one symbol's price walk, and fill what it reaches."""
        dice = self._chance.dice
        symbol = dice.choice(tuple(self._cents))
        self._cents[symbol] = max(self._cents[symbol] + dice.randint(-3, 3), 5_000)
        bid, ask = (self._cents[symbol] - dice.randint(0, 2)) * CENT, (self._cents[symbol] + 1) * CENT
        now_ns = self._clock.now_ns()
        quote = Quote(ALPACA, symbol, bid, LOTS, ask, LOTS, now_ns, now_ns)
        self.quotes[symbol] = quote
        for order in self.working():
            if order.terms.symbol == symbol and order.terms.time_in_force is not TimeInForce.IOC:
                self._fill_some(order)
        return quote

    def _refuse_two_of_one_intent(self, terms: Terms) -> None:
        intent = terms.client_order_id.rpartition("-")[0]
        for order in self.orders.values():
            same = order.terms.client_order_id.rpartition("-")[0] == intent
            if same and not (order.terms.is_fence or terms.is_fence):
                raise PromiseBroken(f"intent {intent} stands at the venue as two orders")

    def _match(self, order: Standing) -> None:
        self._fill_some(order)
        if order.terms.time_in_force is TimeInForce.IOC:
            self._fill_some(order)
            self._end(order)

    def _fill_some(self, order: Standing) -> None:
        price = self._price_for(order.terms)
        if price is None or order.state.is_final or self._chance.happens(0.15):
            return
        lot = order.left if self._chance.happens(0.6) else Decimal(self._chance.dice.randint(1, int(order.left)))
        self._fill(order, lot, price)

    def _price_for(self, terms: Terms) -> Decimal | None:
        quote = self.quotes.get(terms.symbol)
        if quote is None:
            return None
        price = quote.ask_price if terms.side is Side.BUY else quote.bid_price
        limit = terms.limit_price
        reaches = limit is None or (limit >= price if terms.side is Side.BUY else limit <= price)
        return price if reaches else None

    def _fill(self, order: Standing, quantity: Decimal, price: Decimal) -> None:
        terms = order.terms
        order.filled += quantity
        order.spent += quantity * price
        order.state = OrderState.FILLED if order.left == ZERO else OrderState.PARTIALLY_FILLED
        held = self.positions.get(terms.symbol, ZERO) + terms.side.sign * quantity
        self.positions[terms.symbol] = held
        if abs(held) > POSITION_MAX:
            raise PromiseBroken(f"{held} {terms.symbol} at the venue, beyond the limit of {POSITION_MAX}")
        number = ExecutionId(f"x{len(self.fills) + 1}")
        fill = Execution(
            execution_id=number,
            venue_order_id=order.venue_order_id,
            quantity=quantity,
            price=price,
            cumulative_quantity=order.filled,
            venue_at_ns=self._clock.now_ns(),
        )
        self.fills.append(fill)
        self.say(OrderEvent(EventKind.EXECUTION, order.told(), fill))

    def _end(self, order: Standing) -> None:
        if not order.state.is_final:
            order.state = OrderState.CANCELLED
            self.say(OrderEvent(EventKind.STATUS, order.told(), None))
