"""Alpaca's trading REST API: orders, queries, account snapshots; every outcome of a request is a response value.

A snapshot reads orders and fills before positions, so the positions are never older than them.
"""

from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from components.contracts.errors import InvariantError
from components.contracts.orders import VenueSession
from components.contracts.signals import Approved
from components.contracts.values import VenueOrderId
from components.execution.core.venue_messages import (
    CancelAccepted,
    CancelAllAccepted,
    CancelAllOrders,
    CancelOrder,
    DuplicateId,
    Execution,
    Fence,
    FetchVenueSnapshot,
    HaltedByFile,
    OrderAccepted,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryOrder,
    RequestFailure,
    SubmitOrder,
    VenueOrder,
    VenueRequest,
    VenueResponse,
    VenueSnapshot,
)
from components.execution.venues.alpaca.http_client import HttpClient, classify_response
from components.execution.venues.alpaca.schema import (
    AccountDocument,
    CancelledDocument,
    ClockDocument,
    Document,
    FillDocument,
    OrderDocument,
    PositionDocument,
    decode_document,
)
from components.execution.venues.alpaca.translation import (
    encode_fence,
    encode_order,
    format_timestamp,
    parse_account,
    parse_fill,
    parse_order,
    parse_order_with_legs,
    parse_position,
    parse_session,
)
from components.runtime.clock import Clock

ORDERS_PATH: Final = "/v2/orders"
ORDERS_PER_PAGE: Final = 500
FILLS_PER_PAGE: Final = 100
PAGES_MAX: Final = 40
"""More pages than any real account has; bounds how much a faulty venue can make us read."""


class AlpacaRest:
    """Sends each request once and returns its response; retries are decided by the service."""

    def __init__(self, http: HttpClient, clock: Clock, halt_file: Path) -> None:
        """Create it; the HALT file is checked before every order, but not before a fence, a cancel or a query."""
        self._http, self._clock, self._halt_file = http, clock, halt_file
        self._account = AccountReader(http, clock)

    async def open(self) -> None:
        """Open the first connection, so that the first order need not wait for it; the response is ignored."""
        await self._http.send("GET", "/v2/clock")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def call(self, request: VenueRequest) -> VenueResponse:
        """Send one request and return the response."""
        match request:
            case SubmitOrder():
                return await self._submit(request)
            case Fence():
                return await self._place(encode_fence(request))
            case QueryOrder():
                return await self._account.query_order(request)
            case CancelOrder(_, venue_order_id):
                return await self._cancel(venue_order_id)
            case CancelAllOrders():
                return await self._cancel_all()
            case FetchVenueSnapshot():
                return await self._account.fetch_snapshot(request)

    async def _submit(self, request: SubmitOrder) -> VenueResponse:
        if not isinstance(request.signal.stage, Approved):
            raise InvariantError(f"order {request.client_order_id} reached the venue adapter without an approval")
        if self._is_halted():
            return HaltedByFile(str(self._halt_file))
        return await self._place(encode_order(request.client_order_id, request.signal.intent))

    def _is_halted(self) -> bool:
        try:
            self._halt_file.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            # A folder that cannot be read may contain the file: the safe answer is that it does.
            return True
        return True

    async def _place(self, body: bytes) -> VenueResponse:
        response = await self._http.send("POST", ORDERS_PATH, body=body)
        if not isinstance(response, httpx.Response):
            return response
        if not response.is_success:
            return classify_response(response, self._clock.now_ns())
        found = parse_order_response(response)
        return OrderAccepted(found.order) if isinstance(found, OrderFound) else found

    async def _cancel(self, venue_order_id: VenueOrderId) -> VenueResponse:
        response = await self._http.send("DELETE", f"{ORDERS_PATH}/{quote(venue_order_id, safe='')}")
        if not isinstance(response, httpx.Response):
            return response
        return CancelAccepted() if response.is_success else classify_response(response, self._clock.now_ns())

    async def _cancel_all(self) -> VenueResponse:
        response = await self._http.send("DELETE", ORDERS_PATH)
        if not isinstance(response, httpx.Response):
            return response
        if not response.is_success:
            failure = classify_response(response, self._clock.now_ns())
            return OutcomeUnknown(str(failure)) if isinstance(failure, OrderNotFound) else failure
        rows = decode_document(response.content, tuple[CancelledDocument, ...])
        if rows is None:
            return OutcomeUnknown(f"{response.status_code} with a body that cannot be read")
        return CancelAllAccepted(tuple(VenueOrderId(row.id) for row in rows if not httpx.codes.is_success(row.status)))


class IncompleteRead(Exception):
    """One part of a snapshot could not be read; caught by `fetch_snapshot`."""

    def __init__(self, response: RequestFailure) -> None:
        """Store the failure; it becomes the response to the whole snapshot request."""
        super().__init__(str(response))
        self.response = response


class AccountReader:
    """Reads the account and single orders; the requests of a snapshot are sent one after the other."""

    def __init__(self, http: HttpClient, clock: Clock) -> None:
        """Create it; the caller closes the client."""
        self._http, self._clock = http, clock

    async def fetch_snapshot(self, request: FetchVenueSnapshot) -> VenueSnapshot | RequestFailure:
        """Read everything, or return the failure; there is no partial snapshot."""
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
            return OutcomeUnknown(f"the snapshot is invalid: {error}")

    async def query_order(self, request: QueryOrder) -> OrderFound | OrderNotFound | RequestFailure:
        """Query one order by the venue's id if it is known, else by the client order id."""
        if request.venue_order_id is not None:
            response = await self._http.send("GET", f"{ORDERS_PATH}/{request.venue_order_id}")
        else:
            query = {"client_order_id": request.client_order_id}
            response = await self._http.send("GET", f"{ORDERS_PATH}:by_client_order_id", query=query)
        if not isinstance(response, httpx.Response):
            return response
        if response.is_success:
            return parse_order_response(response)
        failure = classify_response(response, self._clock.now_ns())
        return OutcomeUnknown(failure.text) if isinstance(failure, DuplicateId) else failure

    async def _orders(self, request: FetchVenueSnapshot) -> tuple[tuple[VenueOrder, ...], tuple[QueryOrder, ...]]:
        orders = await self._open_orders()
        open_ids = {order.venue_order_id for order in orders}
        open_client_ids = {order.client_order_id for order in orders}
        missing = []
        for query in request.orders:
            is_open = (
                query.venue_order_id in open_ids
                if query.venue_order_id is not None
                else query.client_order_id in open_client_ids
            )
            if is_open:
                continue
            match await self.query_order(query):
                case OrderFound(order):
                    orders.append(order)
                case OrderNotFound():
                    missing.append(query)
                case failure:
                    raise IncompleteRead(failure)
        return tuple(orders), tuple(missing)

    async def _open_orders(self) -> list[VenueOrder]:
        orders: dict[VenueOrderId, VenueOrder] = {}
        query = {"status": "open", "limit": str(ORDERS_PER_PAGE), "direction": "asc", "nested": "true"}
        for _ in range(PAGES_MAX):
            page = await self._get(ORDERS_PATH, tuple[OrderDocument, ...], query)
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
        requested_at_ns = self._clock.now_ns()
        document = await self._get("/v2/clock", ClockDocument)
        return parse_session(document, requested_at_ns=requested_at_ns, received_at_ns=self._clock.now_ns())

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
    """Return the order of a successful response; one that cannot be read is an unknown outcome, not a rejection."""
    document = decode_document(response.content, OrderDocument)
    unreadable = OutcomeUnknown(f"{response.status_code} with a body that cannot be read")
    if document is None:
        return unreadable
    try:
        return OrderFound(parse_order(document))
    except ValueError:
        return unreadable


def _is_open(order: VenueOrder) -> bool:
    # Legs come with their parents in any state; only open orders belong in this list.
    return order.state is None or not order.state.is_final


def _read_failure(response: httpx.Response, path: str, now_ns: int) -> RequestFailure:
    match classify_response(response, now_ns):
        case OrderNotFound() | DuplicateId():
            return OutcomeUnknown(f"{path}: {response.status_code}")
        case failure:
            return failure
