"""One reading of the venue's account while the books go on moving."""

from components.contracts.orders import VenueAccount, VenueSession
from components.contracts.values import VenueOrderId
from components.execution.core.venue import Execution, QueryOrder, ReadVenue, VenueOrder, VenueRead
from components.xtrader.simulation.books import LOTS, Books


class Reading:
    """One reading of the account while it goes on."""

    def __init__(self, request: ReadVenue, books: Books) -> None:
        self._request, self._books = request, books
        self._orders: dict[VenueOrderId, VenueOrder] = {}
        self._missing: tuple[QueryOrder, ...] = ()
        self._fills: tuple[Execution, ...] = ()

    def read_open(self) -> None:
        """List what is open."""
        self._orders = {order.venue_order_id: order.told() for order in self._books.working()}

    def read_named(self) -> None:
        """Ask for each order that was named and is not open."""
        books, names = self._books, {order.client_order_id for order in self._orders.values()}
        for query in self._request.orders:
            if query.venue_order_id in self._orders or query.client_order_id in names:
                continue
            found = books.orders.get(query.venue_order_id) if query.venue_order_id is not None else None
            found = found or books.by_client_id.get(query.client_order_id)
            if found is None:
                self._missing = (*self._missing, query)
            else:
                self._orders[found.venue_order_id] = found.told()

    def read_fills(self) -> None:
        """List the fills since then."""
        self._fills = tuple(fill for fill in self._books.fills if fill.venue_at_ns > self._request.fills_after_ns)

    def whole(self) -> VenueRead:
        """End with the positions."""
        return VenueRead(
            orders=tuple(self._orders.values()),
            missing=self._missing,
            fills=self._fills,
            positions=self._books.holdings(),
            account=VenueAccount("SIM1", LOTS, LOTS, LOTS, trading_blocked=False),
            session=VenueSession(is_open=True, next_open_at_ns=0, next_close_at_ns=0, clock_offset_ns=0),
        )
