"""Alpaca's trading REST as the order service calls it: whatever happens to a request is an answer."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from components.contracts.errors import InvariantError
from components.contracts.signals import Approved
from components.contracts.values import VenueOrderId
from components.execution.core.venue import (
    CancelAccepted,
    CancelAllAccepted,
    CancelAllOrders,
    CancelOrder,
    Fence,
    FetchVenueSnapshot,
    HaltedByFile,
    OrderAccepted,
    OrderFound,
    OrderNotFound,
    OutcomeUnknown,
    QueryOrder,
    SubmitOrder,
    VenueRequest,
    VenueResponse,
)
from components.execution.venues.alpaca.documents import CancelledDocument, decode_document
from components.execution.venues.alpaca.failures import classify_response
from components.execution.venues.alpaca.reading import AccountReader, parse_order_response
from components.execution.venues.alpaca.wire import HttpClient
from components.execution.venues.alpaca.words import encode_fence, encode_order
from components.runtime.clock import Clock

ORDERS_PATH: Final = "/v2/orders"


class AlpacaRest:
    """Places, cancels and reads; nothing is sent twice from here."""

    def __init__(self, http: HttpClient, clock: Clock, halt_file: Path) -> None:
        """Look at the HALT file before every order."""
        self._http, self._clock, self._halt_file = http, clock, halt_file
        self._account = AccountReader(http, clock)

    async def open(self) -> None:
        """Make the first connection now, so that the first order does not wait for it; what comes back is no matter."""
        await self._http.send("GET", "/v2/clock")

    async def close(self) -> None:
        """Let the connections go."""
        await self._http.close()

    async def call(self, request: VenueRequest) -> VenueResponse:
        """Carry one request out."""
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
            raise InvariantError(f"order {request.client_order_id} came to the venue without an approval")
        if self._is_halted():
            return HaltedByFile(str(self._halt_file))
        return await self._place(encode_order(request.client_order_id, request.signal.intent))

    def _is_halted(self) -> bool:
        try:
            self._halt_file.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            # A place that cannot be looked into may hold the file.
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
