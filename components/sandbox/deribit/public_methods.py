"""What Deribit answers alike over websocket and HTTP: the time, instruments, books."""

from collections.abc import Callable, Iterable, Mapping

from components.sandbox.deribit.documents import order_book_document
from components.sandbox.deribit.instruments import CURRENCIES, KIND_NAMES, encode_instrument, matches
from components.sandbox.deribit.lanes import MILLISECOND_NS
from components.sandbox.deribit.refusals import BAD_INSTRUMENT, METHOD_NOT_FOUND, RpcError, invalid_params
from components.sandbox.flow.faults import CryptoFaultSwitches
from components.sandbox.flow.listings import Instrument, by_symbol
from components.sandbox.flow.orders import OrderFlow
from components.sandbox.flow.rest import snapshot_id

VENUE = "deribit"
VERSION = {"version": "1.2.26"}
DEPTHS = ("1", "5", "10", "20", "50", "100", "1000", "10000")
Params = Mapping[str, object]


class PublicMethods:
    """The public methods that change nothing."""

    def __init__(
        self, instruments: Iterable[Instrument], flow: OrderFlow, faults: CryptoFaultSwitches, now_ns: Callable[[], int]
    ) -> None:
        self._by_symbol = by_symbol(instruments)
        self._flow, self._faults, self._now_ns = flow, faults, now_ns
        self._indexes = {symbol: place for place, symbol in enumerate(self._by_symbol)}
        self._methods: dict[str, Callable[[Params], object]] = {
            "public/get_time": lambda _: self._now_ms(),
            "public/test": lambda _: VERSION,
            "public/hello": lambda _: VERSION,
            "public/get_instruments": self._get_instruments,
            "public/get_instrument": self._get_instrument,
            "public/get_order_book": self._get_order_book,
        }

    def call(self, method: str, params: Params) -> object:
        """Answer a call, be it by a refusal."""
        known = self._methods.get(method)
        return METHOD_NOT_FOUND if known is None else known(params)

    def _get_instruments(self, params: Params) -> object:
        currency, kind = params.get("currency"), params.get("kind")
        if currency not in CURRENCIES:
            return invalid_params("currency", f"must be one of {', '.join(CURRENCIES)}")
        if kind not in {None, "any", *KIND_NAMES.values()}:
            return invalid_params("kind", "unknown kind")
        if str(params.get("expired", "false")).lower() == "true":
            return []
        found = [
            one for one in self._by_symbol.values() if matches(one, str(currency), None if kind is None else str(kind))
        ]
        return [encode_instrument(one, self._indexes[one.symbol]) for one in found]

    def _get_instrument(self, params: Params) -> object:
        listing = self._by_symbol.get(str(params.get("instrument_name")))
        return BAD_INSTRUMENT if listing is None else encode_instrument(listing, self._indexes[listing.symbol])

    def _get_order_book(self, params: Params) -> object | RpcError:
        listing, depth = self._by_symbol.get(str(params.get("instrument_name"))), str(params.get("depth", 5))
        if listing is None:
            return BAD_INSTRUMENT
        if depth not in DEPTHS:
            return invalid_params("depth", f"must be one of {', '.join(DEPTHS)}")
        flow_id = snapshot_id(self._flow, self._faults, VENUE, listing.symbol)
        return order_book_document(listing, self._flow.book_at(listing.symbol, flow_id), int(depth), self._now_ms())

    def _now_ms(self) -> int:
        return self._now_ns() // MILLISECOND_NS
