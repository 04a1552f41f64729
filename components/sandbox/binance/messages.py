"""Market data messages of the simulated Binance venues, as text."""

from decimal import Decimal

import msgspec

from components.sandbox.binance.rules import VenueRules
from components.sandbox.numerics import MILLISECOND_NS
from components.sandbox.simulation.order_book import Level, Levels
from components.sandbox.simulation.order_flow import SimTrade, UpdateBatch

_encoder = msgspec.json.Encoder()


class MessageEncoder:
    """Encodes messages by the rules of one of the two venues."""

    def __init__(self, rules: VenueRules) -> None:
        self._is_futures = rules.is_futures
        self._number_format = "f" if rules.is_futures else ".8f"

    def depth(self, batch: UpdateBatch, now_ns: int, ids_back: int = 0) -> str:
        """Encode the levels that a batch changed; ids are lowered by `ids_back` where a fault demands it."""
        first = batch.first_id if self._is_futures else batch.prev_id + 1
        document: dict[str, object] = {"e": "depthUpdate", "E": now_ns // MILLISECOND_NS}
        if self._is_futures:
            document["T"] = batch.at_ns // MILLISECOND_NS
        document |= {"s": batch.symbol, "U": first - ids_back, "u": batch.last_id - ids_back}
        if self._is_futures:
            document["pu"] = batch.prev_id - ids_back
        return _encode(
            {**document, "b": self._levels(batch.bids), "a": self._levels(batch.asks), **self._futures_fields(batch)}
        )

    def partial(self, batch: UpdateBatch, now_ns: int) -> str:
        """Encode the top of the book: without name and time on spot, in the shape of a depth update on futures."""
        if self._is_futures:
            return self.depth(batch, now_ns)
        return _encode({"lastUpdateId": batch.last_id, **self.book_sides(batch.bids, batch.asks)})

    def book_ticker(self, symbol: str, at_id: int, best: tuple[Level, Level], times_ns: tuple[int, int]) -> str:
        """Encode the best bid and ask."""
        (bid, bid_size), (ask, ask_size) = best
        document: dict[str, object] = {"e": "bookTicker"} if self._is_futures else {}
        document |= {"u": at_id, "s": symbol, "b": self._number(bid), "B": self._number(bid_size)}
        document |= {"a": self._number(ask), "A": self._number(ask_size)}
        if self._is_futures:
            document |= {"T": times_ns[0] // MILLISECOND_NS, "E": times_ns[1] // MILLISECOND_NS}
        return _encode(document)

    def agg_trade(self, symbol: str, one: SimTrade, now_ns: int) -> str:
        """Encode a trade as an aggregate of one."""
        document = {
            "e": "aggTrade",
            "E": now_ns // MILLISECOND_NS,
            "a": one.id,
            "s": symbol,
            "p": self._number(one.price),
            "q": self._number(one.quantity),
            "f": one.id,
            "l": one.id,
            "T": one.at_ns // MILLISECOND_NS,
            "m": not one.is_buy,
        }
        return _encode(document if self._is_futures else {**document, "M": True})

    def trade(self, symbol: str, one: SimTrade, now_ns: int) -> str:
        """Encode a trade."""
        document = {
            "e": "trade",
            "E": now_ns // MILLISECOND_NS,
            "s": symbol,
            "t": one.id,
            "p": self._number(one.price),
            "q": self._number(one.quantity),
            "T": one.at_ns // MILLISECOND_NS,
            "m": not one.is_buy,
        }
        return _encode({**document, **({"X": "MARKET"} if self._is_futures else {"M": True})})

    def mark_price(self, symbol: str, price: Decimal, now_ns: int) -> str:
        """Encode the mark price, here the middle of the book."""
        text = format(price, ".8f")
        now_ms = now_ns // MILLISECOND_NS
        document = {"e": "markPriceUpdate", "E": now_ms, "s": symbol, "p": text, "i": text, "P": text}
        return _encode({**document, "r": "0.00010000", "T": now_ms - now_ms % 28_800_000 + 28_800_000})

    def book_sides(self, bids: Levels, asks: Levels) -> dict[str, object]:
        """Return the levels of a book under their full names."""
        return {"bids": self._levels(bids), "asks": self._levels(asks)}

    def _futures_fields(self, batch: UpdateBatch) -> dict[str, object]:
        return {"ps": batch.symbol.partition("_")[0], "st": 1} if self._is_futures else {}

    def _levels(self, levels: Levels) -> list[list[str]]:
        return [
            [format(price, self._number_format), format(quantity, self._number_format)] for price, quantity in levels
        ]

    def _number(self, value: Decimal) -> str:
        return format(value, self._number_format)


def _encode(document: dict[str, object]) -> str:
    return _encoder.encode(document).decode()
