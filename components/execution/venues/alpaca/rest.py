"""Alpaca's trading REST as the order service calls it: whatever happens to a request is an answer."""

from pathlib import Path
from typing import Final
from urllib.parse import quote

import httpx

from components.contracts.errors import InvariantError
from components.contracts.signals import Approved
from components.contracts.values import VenueOrderId
from components.execution.core.venue import (
    AllCancelled,
    Answer,
    CancelAccepted,
    CancelAllOrders,
    CancelOrder,
    Fence,
    HaltedByFile,
    OrderAccepted,
    OrderFound,
    OrderMissing,
    OutcomeUnknown,
    QueryOrder,
    ReadVenue,
    Request,
    SubmitOrder,
)
from components.execution.venues.alpaca.documents import CancelledDocument, read
from components.execution.venues.alpaca.failures import of_response
from components.execution.venues.alpaca.reading import Reading, found_in
from components.execution.venues.alpaca.wire import Wire
from components.execution.venues.alpaca.words import fence_body, order_body
from components.runtime.clock import Clock

ORDERS: Final = "/v2/orders"


class AlpacaRest:
    """Places, cancels and reads; nothing is sent twice from here."""

    def __init__(self, wire: Wire, clock: Clock, halt_file: Path) -> None:
        """Look at the HALT file before every order."""
        self._wire, self._clock, self._halt_file = wire, clock, halt_file
        self._reading = Reading(wire, clock)

    async def open(self) -> None:
        """Make the first connection now, so that the first order does not wait for it; what comes back is no matter."""
        await self._wire.send("GET", "/v2/clock")

    async def close(self) -> None:
        """Let the connections go."""
        await self._wire.close()

    async def call(self, request: Request) -> Answer:
        """Carry one request out."""
        match request:
            case SubmitOrder():
                return await self._submit(request)
            case Fence():
                return await self._place(fence_body(request))
            case QueryOrder():
                return await self._reading.order(request)
            case CancelOrder(_, venue_order_id):
                return await self._cancel(venue_order_id)
            case CancelAllOrders():
                return await self._cancel_all()
            case ReadVenue():
                return await self._reading.whole(request)

    async def _submit(self, request: SubmitOrder) -> Answer:
        if not isinstance(request.signal.stage, Approved):
            raise InvariantError(f"order {request.client_order_id} came to the venue without an approval")
        if self._is_halted():
            return HaltedByFile(str(self._halt_file))
        return await self._place(order_body(request.client_order_id, request.signal.intent))

    def _is_halted(self) -> bool:
        try:
            self._halt_file.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            # A place that cannot be looked into may hold the file.
            return True
        return True

    async def _place(self, body: bytes) -> Answer:
        response = await self._wire.send("POST", ORDERS, body=body)
        if not isinstance(response, httpx.Response):
            return response
        if not response.is_success:
            return of_response(response, self._clock.now_ns())
        found = found_in(response)
        return OrderAccepted(found.order) if isinstance(found, OrderFound) else found

    async def _cancel(self, venue_order_id: VenueOrderId) -> Answer:
        response = await self._wire.send("DELETE", f"{ORDERS}/{quote(venue_order_id, safe='')}")
        if not isinstance(response, httpx.Response):
            return response
        return CancelAccepted() if response.is_success else of_response(response, self._clock.now_ns())

    async def _cancel_all(self) -> Answer:
        response = await self._wire.send("DELETE", ORDERS)
        if not isinstance(response, httpx.Response):
            return response
        if not response.is_success:
            failure = of_response(response, self._clock.now_ns())
            return OutcomeUnknown(str(failure)) if isinstance(failure, OrderMissing) else failure
        rows = read(response.content, tuple[CancelledDocument, ...])
        if rows is None:
            return OutcomeUnknown(f"{response.status_code} with a body that cannot be read")
        return AllCancelled(tuple(VenueOrderId(row.id) for row in rows if not httpx.codes.is_success(row.status)))
