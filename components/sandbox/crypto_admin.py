"""Admin API of the crypto venues: what is served, books at any recent id, faults, stepping of the order flow, modes."""

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from aiohttp import web

from components.sandbox.numerics import format_decimal
from components.sandbox.simulation.order_book import Levels, SimulatedBook
from components.sandbox.transport.crypto_venue import CryptoVenue, MapsSequenceIds, SupportsModes
from components.sandbox.transport.faults import CryptoFault, CryptoFaultKind, CryptoFaultSwitches
from components.sandbox.transport.http_server import json_response, read_body

DEPTH = 10
DEPTH_MAX = 1000
IDS_MAX = 10_000
CHANGES_MAX = 100_000
Document = dict[str, object]


class VenueUrls(msgspec.Struct, frozen=True):
    """Addresses of a crypto venue; a client configures them in place of the real hosts."""

    stream_url: str
    rest_url: str


class BooksBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request for the states of one book at several ids."""

    ids: Annotated[list[int], msgspec.Meta(max_length=IDS_MAX)]
    depth: Annotated[int, msgspec.Meta(ge=1, le=DEPTH_MAX)] = DEPTH


class FlowBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request to apply a number of updates to one symbol's book."""

    venue: str
    symbol: str
    changes: Annotated[int, msgspec.Meta(ge=1, le=CHANGES_MAX)] = 1


class ModeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Request to change one mode of a venue."""

    venue: str
    name: str
    value: str


class CryptoAdminRoutes:
    """Handlers of the admin API for operators and tests."""

    def __init__(
        self,
        venues: Mapping[str, CryptoVenue],
        urls: Mapping[str, VenueUrls],
        faults: CryptoFaultSwitches,
        now_ns: Callable[[], int],
    ) -> None:
        self._venues, self._urls, self._faults, self._now_ns = venues, urls, faults, now_ns

    def routes(self) -> list[web.RouteDef]:
        """Return the endpoints."""
        return [
            web.get("/venues", self.venues),
            web.get("/books/{venue}/{symbol}", self.book),
            web.post("/books/{venue}/{symbol}", self.books),
            web.get("/crypto-faults", self.faults),
            web.post("/crypto-faults", self.arm),
            web.delete("/crypto-faults", self.clear),
            web.post("/flow", self.step),
            web.post("/modes", self.set_mode),
        ]

    async def venues(self, _: web.Request) -> web.Response:
        """Return the venues with their URLs, instruments, last ids, clients and counts."""
        return json_response({name: self._view(name, venue) for name, venue in self._venues.items()})

    async def book(self, request: web.Request) -> web.Response:
        """Return one book as it is now or, with `id`, after the last update whose id is not above it."""
        depth, at_id = request.query.get("depth", str(DEPTH)), request.query.get("id")
        if not depth.isdecimal() or not 1 <= int(depth) <= DEPTH_MAX or not (at_id or "0").isdecimal():
            raise web.HTTPBadRequest(text=f"depth must be 1 to {DEPTH_MAX}, and id a number")
        venue, symbol = self._find(request.match_info["venue"], request.match_info["symbol"])
        book = venue.flow.book(symbol) if at_id is None else _book_at(venue, symbol, int(at_id))
        if book is None:
            raise web.HTTPNotFound(text=f"{symbol} at {at_id} is older than the history")
        return json_response(_book_document(book, int(depth)))

    async def books(self, request: web.Request) -> web.Response:
        """Return one book at several ids; null for an id that is older than the history."""
        venue, symbol = self._find(request.match_info["venue"], request.match_info["symbol"])
        body = await read_body(request, BooksBody)
        found = (_book_at(venue, symbol, at_id) for at_id in body.ids)
        return json_response({"books": [None if book is None else _book_document(book, body.depth) for book in found]})

    async def faults(self, _: web.Request) -> web.Response:
        """Return the armed faults with their counts."""
        return json_response(self._armed_faults())

    async def arm(self, request: web.Request) -> web.Response:
        """Arm a fault; an immediate fault is triggered at once."""
        fault = await read_body(request, CryptoFault)
        self._faults.arm(fault)
        for name, venue in self._venues.items():
            if fault.venue in {"*", name}:
                _trigger_immediate(venue, fault)
        return json_response(self._armed_faults())

    async def clear(self, _: web.Request) -> web.Response:
        """Disarm all faults; a connection that a fault has changed stays changed until it closes."""
        self._faults.clear()
        return web.Response(status=204)

    async def step(self, request: web.Request) -> web.Response:
        """Apply the requested number of updates to one symbol's book."""
        body = await read_body(request, FlowBody)
        venue, symbol = self._find(body.venue, body.symbol)
        for _ in range(body.changes):
            venue.flow.step(symbol, self._now_ns())
        return json_response({"id": venue.flow.last_id(symbol)})

    async def set_mode(self, request: web.Request) -> web.Response:
        """Change one mode of a venue; `set_mode` of the venue lists them."""
        body = await read_body(request, ModeBody)
        # The optional capabilities are runtime-checkable protocols, which are tested on a plain object.
        venue: object = self._venues.get(body.venue)
        if not isinstance(venue, SupportsModes):
            raise web.HTTPNotFound(text=f"{body.venue} is not served here or has no modes")
        venue.set_mode(body.name, body.value)
        return web.Response(status=204)

    def _find(self, name: str, symbol: str) -> tuple[CryptoVenue, str]:
        venue = self._venues.get(name)
        if venue is None or symbol not in venue.flow.instruments:
            raise web.HTTPNotFound(text=f"no {symbol} at {name}; the venues are {', '.join(self._venues)}")
        return venue, symbol

    def _view(self, name: str, venue: CryptoVenue) -> Document:
        symbols = {symbol: venue.flow.last_id(symbol) for symbol in venue.flow.instruments}
        instruments = [msgspec.to_builtins(one) for one in venue.flow.instruments.values()]
        return {**msgspec.to_builtins(self._urls[name]), "listings": instruments, "last_ids": symbols, **venue.stats()}

    def _armed_faults(self) -> list[Document]:
        return [{**msgspec.to_builtins(one.fault), "seen": one.seen, "done": one.done} for one in self._faults.armed]


def _trigger_immediate(venue: CryptoVenue, fault: CryptoFault) -> None:
    if fault.kind is CryptoFaultKind.CUT:
        venue.disconnect_all()
    elif fault.kind is CryptoFaultKind.SERVE_SHUTDOWN:
        venue.announce_shutdown(fault)


def _book_at(venue: CryptoVenue, symbol: str, at_id: int) -> SimulatedBook | None:
    numbering: object = venue
    wanted = numbering.flow_id(symbol, at_id) if isinstance(numbering, MapsSequenceIds) else at_id
    try:
        return venue.flow.book_at(symbol, wanted)
    except LookupError:
        return None


def _book_document(book: SimulatedBook, depth: int) -> Document:
    bids, asks = book.top(depth)
    return {"id": book.id, "bids": _levels(bids), "asks": _levels(asks)}


def _levels(levels: Levels) -> list[list[str]]:
    return [[format_decimal(price), format_decimal(quantity)] for price, quantity in levels]
