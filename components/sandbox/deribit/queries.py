"""What Deribit answers alike over websocket and HTTP: the time, instruments, books."""

from collections.abc import Callable, Iterable, Mapping

from components.sandbox.deribit.documents import order_book
from components.sandbox.deribit.instruments import CURRENCIES, KINDS, instrument, is_asked_for
from components.sandbox.deribit.lanes import MILLISECOND_NS
from components.sandbox.deribit.refusals import BAD_INSTRUMENT, METHOD_NOT_FOUND, Refusal, invalid
from components.sandbox.flow.faults import FlowFaults
from components.sandbox.flow.listings import Listing, by_symbol
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.rest import snapshot_id

VENUE = "deribit"
VERSION = {"version": "1.2.26"}
DEPTHS = ("1", "5", "10", "20", "50", "100", "1000", "10000")
Params = Mapping[str, object]


class Queries:
    """The public methods that change nothing."""

    def __init__(
        self, listings: Iterable[Listing], flow: OrderFlow, faults: FlowFaults, now_ns: Callable[[], int]
    ) -> None:
        self._listings = by_symbol(listings)
        self._flow, self._faults, self._now_ns = flow, faults, now_ns
        self._places = {symbol: place for place, symbol in enumerate(self._listings)}
        self._methods: dict[str, Callable[[Params], object]] = {
            "public/get_time": lambda _: self._now_ms(),
            "public/test": lambda _: VERSION,
            "public/hello": lambda _: VERSION,
            "public/get_instruments": self._instruments,
            "public/get_instrument": self._instrument,
            "public/get_order_book": self._order_book,
        }

    def answer(self, method: str, params: Params) -> object:
        """Answer a call, be it by a refusal."""
        known = self._methods.get(method)
        return METHOD_NOT_FOUND if known is None else known(params)

    def _instruments(self, params: Params) -> object:
        currency, kind = params.get("currency"), params.get("kind")
        if currency not in CURRENCIES:
            return invalid("currency", f"must be one of {', '.join(CURRENCIES)}")
        if kind not in {None, "any", *KINDS.values()}:
            return invalid("kind", "unknown kind")
        if str(params.get("expired", "false")).lower() == "true":
            return []
        found = [
            one
            for one in self._listings.values()
            if is_asked_for(one, str(currency), None if kind is None else str(kind))
        ]
        return [instrument(one, self._places[one.symbol]) for one in found]

    def _instrument(self, params: Params) -> object:
        listing = self._listings.get(str(params.get("instrument_name")))
        return BAD_INSTRUMENT if listing is None else instrument(listing, self._places[listing.symbol])

    def _order_book(self, params: Params) -> object | Refusal:
        listing, depth = self._listings.get(str(params.get("instrument_name"))), str(params.get("depth", 5))
        if listing is None:
            return BAD_INSTRUMENT
        if depth not in DEPTHS:
            return invalid("depth", f"must be one of {', '.join(DEPTHS)}")
        flow_id = snapshot_id(self._flow, self._faults, VENUE, listing.symbol)
        return order_book(listing, self._flow.book_at(listing.symbol, flow_id), int(depth), self._now_ms())

    def _now_ms(self) -> int:
        return self._now_ns() // MILLISECOND_NS
