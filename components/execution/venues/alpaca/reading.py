"""Reads the whole account at Alpaca: orders and fills first, then the positions, which are so never the older."""

from typing import Final, TypeVar

import httpx

from components.contracts.orders import VenueSession
from components.contracts.values import VenueOrderId
from components.execution.core.venue import (
    DuplicateId,
    Execution,
    NotDone,
    OrderFound,
    OrderMissing,
    OutcomeUnknown,
    QueryOrder,
    ReadVenue,
    VenueOrder,
    VenueRead,
)
from components.execution.venues.alpaca.documents import (
    AccountDocument,
    ClockDocument,
    FillDocument,
    OrderDocument,
    PositionDocument,
    read,
)
from components.execution.venues.alpaca.failures import of_response
from components.execution.venues.alpaca.wire import Wire
from components.execution.venues.alpaca.words import (
    account_of,
    fill_of,
    instant,
    order_of,
    orders_of,
    position_of,
    session_of,
)
from components.runtime.clock import Clock

ORDERS_PER_PAGE: Final = 500
FILLS_PER_PAGE: Final = 100
PAGES_MAX: Final = 40
"""More than any account of ours fills; a bound on what a venue can make us read."""

Document = TypeVar("Document")


class NotRead(Exception):  # it never leaves this package: it ends a reading that cannot be finished
    """One part of a reading was not given."""

    def __init__(self, answer: NotDone) -> None:
        """Keep the answer: it is that of the whole reading."""
        super().__init__(str(answer))
        self.answer = answer


class Reading:
    """Asks the questions of one reading, one after the other."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        """Ask over this wire."""
        self._wire, self._clock = wire, clock

    async def whole(self, request: ReadVenue) -> VenueRead | NotDone:
        """Read everything, or say why not; half a reading is none."""
        try:
            orders, missing = await self._orders(request)
            fills = await self._fills(request.fills_after_ns)
            positions = await self._get("/v2/positions", tuple[PositionDocument, ...])
            account = await self._get("/v2/account", AccountDocument)
            return VenueRead(
                orders=orders,
                missing=missing,
                fills=fills,
                positions=tuple(position_of(document) for document in positions),
                account=account_of(account),
                session=await self._session(),
            )
        except NotRead as stopped:
            return stopped.answer
        except ValueError as error:
            return OutcomeUnknown(f"the reading makes no sense: {error}")

    async def order(self, request: QueryOrder) -> OrderFound | OrderMissing | NotDone:
        """Ask for one order: by the venue's id where it is known, else by ours."""
        if request.venue_order_id is not None:
            response = await self._wire.send("GET", f"/v2/orders/{request.venue_order_id}")
        else:
            query = {"client_order_id": request.client_order_id}
            response = await self._wire.send("GET", "/v2/orders:by_client_order_id", query=query)
        if not isinstance(response, httpx.Response):
            return response
        if response.is_success:
            return found_in(response)
        failure = of_response(response, self._clock.now_ns())
        return OutcomeUnknown(failure.text) if isinstance(failure, DuplicateId) else failure

    async def _orders(self, request: ReadVenue) -> tuple[tuple[VenueOrder, ...], tuple[QueryOrder, ...]]:
        orders = await self._open_orders()
        seen = {order.venue_order_id for order in orders}
        names = {order.client_order_id for order in orders}
        missing = []
        for query in request.orders:
            known = query.venue_order_id in seen if query.venue_order_id is not None else query.client_order_id in names
            if known:
                continue
            match await self.order(query):
                case OrderFound(order):
                    orders.append(order)
                case OrderMissing():
                    missing.append(query)
                case answer:
                    raise NotRead(answer)
        return tuple(orders), tuple(missing)

    async def _open_orders(self) -> list[VenueOrder]:
        orders: dict[VenueOrderId, VenueOrder] = {}
        query = {"status": "open", "limit": str(ORDERS_PER_PAGE), "direction": "asc", "nested": "true"}
        for _ in range(PAGES_MAX):
            page = await self._get("/v2/orders", tuple[OrderDocument, ...], query)
            for document in page:
                orders |= {order.venue_order_id: order for order in orders_of(document) if _is_open(order)}
            if len(page) < ORDERS_PER_PAGE:
                return list(orders.values())
            query["after_order_id"] = page[-1].id
        raise NotRead(OutcomeUnknown(f"more than {PAGES_MAX} pages of open orders"))

    async def _fills(self, after_ns: int) -> tuple[Execution, ...]:
        fills: dict[str, FillDocument] = {}
        query = {"after": instant(after_ns), "direction": "asc", "page_size": str(FILLS_PER_PAGE)}
        for _ in range(PAGES_MAX):
            page = await self._get("/v2/account/activities/FILL", tuple[FillDocument, ...], query)
            fills |= {document.id: document for document in page}
            if len(page) < FILLS_PER_PAGE:
                return tuple(fill_of(document) for document in fills.values())
            query["page_token"] = page[-1].id
        raise NotRead(OutcomeUnknown(f"more than {PAGES_MAX} pages of fills"))

    async def _session(self) -> VenueSession:
        asked_at_ns = self._clock.now_ns()
        document = await self._get("/v2/clock", ClockDocument)
        return session_of(document, asked_at_ns=asked_at_ns, answered_at_ns=self._clock.now_ns())

    async def _get(self, path: str, kind: type[Document], query: dict[str, str] | None = None) -> Document:
        response = await self._wire.send("GET", path, query=query)
        if not isinstance(response, httpx.Response):
            raise NotRead(response)
        if not response.is_success:
            raise NotRead(_not_given(response, path, self._clock.now_ns()))
        document = read(response.content, kind)
        if document is None:
            raise NotRead(OutcomeUnknown(f"{path}: {response.status_code} with a body that cannot be read"))
        return document


def found_in(response: httpx.Response) -> OrderFound | OutcomeUnknown:
    """Read the order of a yes; a yes that cannot be read is no no."""
    document = read(response.content, OrderDocument)
    unreadable = OutcomeUnknown(f"{response.status_code} with a body that cannot be read")
    if document is None:
        return unreadable
    try:
        return OrderFound(order_of(document))
    except ValueError:
        return unreadable


def _is_open(order: VenueOrder) -> bool:
    # Legs come with their parents, whatever became of them; only what is open belongs in this list.
    return order.state is None or not order.state.is_final


def _not_given(response: httpx.Response, path: str, now_ns: int) -> NotDone:
    match of_response(response, now_ns):
        case OrderMissing() | DuplicateId():
            return OutcomeUnknown(f"{path}: {response.status_code}")
        case failure:
            return failure
