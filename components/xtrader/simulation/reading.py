"""One reading of the venue's account while the books go on moving."""

from components.contracts.orders import VenueAccount, VenueSession
from components.contracts.values import VenueOrderId
from components.execution.core.venue import Execution, FetchVenueSnapshot, QueryOrder, VenueOrder, VenueSnapshot
from components.xtrader.simulation.books import AMPLE, SimulatedExchange


class AccountRead:
    """One reading of the account while it goes on."""

    def __init__(self, request: FetchVenueSnapshot, exchange: SimulatedExchange) -> None:
        self._request, self._exchange = request, exchange
        self._orders: dict[VenueOrderId, VenueOrder] = {}
        self._missing: tuple[QueryOrder, ...] = ()
        self._fills: tuple[Execution, ...] = ()

    def read_open_orders(self) -> None:
        """List what is open."""
        self._orders = {order.venue_order_id: order.as_venue_order() for order in self._exchange.working_orders()}

    def read_queried_orders(self) -> None:
        """Ask for each order that was named and is not open."""
        books, names = self._exchange, {order.client_order_id for order in self._orders.values()}
        for query in self._request.orders:
            if query.venue_order_id in self._orders or query.client_order_id in names:
                continue
            found = books.orders.get(query.venue_order_id) if query.venue_order_id is not None else None
            found = found or books.by_client_id.get(query.client_order_id)
            if found is None:
                self._missing = (*self._missing, query)
            else:
                self._orders[found.venue_order_id] = found.as_venue_order()

    def read_fills(self) -> None:
        """List the fills since then."""
        self._fills = tuple(fill for fill in self._exchange.fills if fill.venue_at_ns > self._request.fills_after_ns)

    def result(self) -> VenueSnapshot:
        """End with the positions."""
        return VenueSnapshot(
            orders=tuple(self._orders.values()),
            missing=self._missing,
            fills=self._fills,
            positions=self._exchange.venue_positions(),
            account=VenueAccount("SIM1", AMPLE, AMPLE, AMPLE, trading_blocked=False),
            session=VenueSession(is_open=True, next_open_at_ns=0, next_close_at_ns=0, clock_offset_ns=0),
        )
