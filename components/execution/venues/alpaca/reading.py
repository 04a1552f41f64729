"""Reads the whole account at Alpaca: orders and fills first, then the positions, which are so never the older."""

from typing import Final, TypeVar

import httpx

from components.contracts.orders import VenueSession
from components.contracts.values import VenueOrderId
from components.execution.core.venue import (
    DuplicateId,
    Execution,
    FetchVenueSnapshot,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryOrder,
    RequestFailure,
    VenueOrder,
    VenueSnapshot,
)
from components.execution.venues.alpaca.documents import (
    AccountDocument,
    ClockDocument,
    FillDocument,
    OrderDocument,
    PositionDocument,
    decode_document,
)
from components.execution.venues.alpaca.failures import classify_response
from components.execution.venues.alpaca.wire import HttpClient
from components.execution.venues.alpaca.words import (
    format_timestamp,
    parse_account,
    parse_fill,
    parse_order,
    parse_order_with_legs,
    parse_position,
    parse_session,
)
from components.runtime.clock import Clock

ORDERS_PER_PAGE: Final = 500
FILLS_PER_PAGE: Final = 100
PAGES_MAX: Final = 40
"""More than any account of ours fills; a bound on what a venue can make us read."""

Document = TypeVar("Document")


class IncompleteRead(Exception):  # it never leaves this package: it ends a reading that cannot be finished
    """One part of a reading was not given."""

    def __init__(self, response: RequestFailure) -> None:
        """Keep the answer: it is that of the whole reading."""
        super().__init__(str(response))
        self.response = response


class AccountReader:
    """Asks the questions of one reading, one after the other."""

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        """Ask over this wire."""
        self._http, self._clock = http, clock

    async def fetch_snapshot(self, request: FetchVenueSnapshot) -> VenueSnapshot | RequestFailure:
        """Read everything, or say why not; half a reading is none."""
        try:
            orders, missing = await self._orders(request)
            fills = await self._fills(request.fills_after_ns)
            positions = await self._get("/v2/positions", tuple[PositionDocument, ...])
            account = await self._get("/v2/account", AccountDocument)
            return VenueSnapshot(
                orders=orders,
                missing=missing,
                fills=fills,
                positions=tuple(parse_position(document) for document in positions),
                account=parse_account(account),
                session=await self._session(),
            )
        except IncompleteRead as stopped:
            return stopped.response
        except ValueError as error:
            return OutcomeUnknown(f"the reading makes no sense: {error}")

    async def query_order(self, request: QueryOrder) -> OrderFound | OrderNotFound | RequestFailure:
        """Ask for one order: by the venue's id where it is known, else by ours."""
        if request.venue_order_id is not None:
            response = await self._http.send("GET", f"/v2/orders/{request.venue_order_id}")
        else:
            query = {"client_order_id": request.client_order_id}
            response = await self._http.send("GET", "/v2/orders:by_client_order_id", query=query)
        if not isinstance(response, httpx.Response):
            return response
        if response.is_success:
            return parse_order_response(response)
        failure = classify_response(response, self._clock.now_ns())
        return OutcomeUnknown(failure.text) if isinstance(failure, DuplicateId) else failure

    async def _orders(self, request: FetchVenueSnapshot) -> tuple[tuple[VenueOrder, ...], tuple[QueryOrder, ...]]:
        orders = await self._open_orders()
        seen = {order.venue_order_id for order in orders}
        names = {order.client_order_id for order in orders}
        missing = []
        for query in request.orders:
            known = query.venue_order_id in seen if query.venue_order_id is not None else query.client_order_id in names
            if known:
                continue
            match await self.query_order(query):
                case OrderFound(order):
                    orders.append(order)
                case OrderNotFound():
                    missing.append(query)
                case answer:
                    raise IncompleteRead(answer)
        return tuple(orders), tuple(missing)

    async def _open_orders(self) -> list[VenueOrder]:
        orders: dict[VenueOrderId, VenueOrder] = {}
        query = {"status": "open", "limit": str(ORDERS_PER_PAGE), "direction": "asc", "nested": "true"}
        for _ in range(PAGES_MAX):
            page = await self._get("/v2/orders", tuple[OrderDocument, ...], query)
            for document in page:
                orders |= {order.venue_order_id: order for order in parse_order_with_legs(document) if _is_open(order)}
            if len(page) < ORDERS_PER_PAGE:
                return list(orders.values())
            query["after_order_id"] = page[-1].id
        raise IncompleteRead(OutcomeUnknown(f"more than {PAGES_MAX} pages of open orders"))

    async def _fills(self, after_ns: int) -> tuple[Execution, ...]:
        fills: dict[str, FillDocument] = {}
        query = {"after": format_timestamp(after_ns), "direction": "asc", "page_size": str(FILLS_PER_PAGE)}
        for _ in range(PAGES_MAX):
            page = await self._get("/v2/account/activities/FILL", tuple[FillDocument, ...], query)
            fills |= {document.id: document for document in page}
            if len(page) < FILLS_PER_PAGE:
                return tuple(parse_fill(document) for document in fills.values())
            query["page_token"] = page[-1].id
        raise IncompleteRead(OutcomeUnknown(f"more than {PAGES_MAX} pages of fills"))

    async def _session(self) -> VenueSession:
        asked_at_ns = self._clock.now_ns()
        document = await self._get("/v2/clock", ClockDocument)
        return parse_session(document, requested_at_ns=asked_at_ns, received_at_ns=self._clock.now_ns())

    async def _get(self, path: str, kind: type[Document], query: dict[str, str] | None = None) -> Document:
        response = await self._http.send("GET", path, query=query)
        if not isinstance(response, httpx.Response):
            raise IncompleteRead(response)
        if not response.is_success:
            raise IncompleteRead(_read_failure(response, path, self._clock.now_ns()))
        document = decode_document(response.content, kind)
        if document is None:
            raise IncompleteRead(OutcomeUnknown(f"{path}: {response.status_code} with a body that cannot be read"))
        return document


def parse_order_response(response: httpx.Response) -> OrderFound | OutcomeUnknown:
    """Read the order of a yes; a yes that cannot be read is no no."""
    document = decode_document(response.content, OrderDocument)
    unreadable = OutcomeUnknown(f"{response.status_code} with a body that cannot be read")
    if document is None:
        return unreadable
    try:
        return OrderFound(parse_order(document))
    except ValueError:
        return unreadable


def _is_open(order: VenueOrder) -> bool:
    # Legs come with their parents, whatever became of them; only what is open belongs in this list.
    return order.state is None or not order.state.is_final


def _read_failure(response: httpx.Response, path: str, now_ns: int) -> RequestFailure:
    match classify_response(response, now_ns):
        case OrderNotFound() | DuplicateId():
            return OutcomeUnknown(f"{path}: {response.status_code}")
        case failure:
            return failure
