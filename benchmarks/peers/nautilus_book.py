"""Runs nautilus_trader's order book over decoded updates and prints the time of one; runs in the peers' environment."""

# ruff: noqa: ANN401 -- its types are not installed where this is checked

import json
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from nautilus_trader.model.book import OrderBook  # type: ignore[import-not-found] # installed in the peers' place only
from nautilus_trader.model.data import (  # type: ignore[import-not-found] # installed in the peers' place only
    BookOrder,
    OrderBookDelta,
    OrderBookDeltas,
)
from nautilus_trader.model.enums import (  # type: ignore[import-not-found] # installed in the peers' place only
    BookAction,
    BookType,
    OrderSide,
)
from nautilus_trader.model.identifiers import (  # type: ignore[import-not-found] # installed in the peers' place only
    InstrumentId,
)
from nautilus_trader.model.objects import (  # type: ignore[import-not-found] # installed in the peers' place only
    FIXED_PRECISION,
    Price,
    Quantity,
)

Update = list[list[Any]]
Build = Callable[[Update], Any]
INSTRUMENT = InstrumentId.from_str("BOOK.VENUE")
SIDES = (OrderSide.BUY, OrderSide.SELL)
UPDATE, DELETE = BookAction.UPDATE, BookAction.DELETE


def main() -> None:
    """Read updates as texts, print the minimum nanoseconds of one update for every way of building its deltas."""
    request = json.load(sys.stdin)
    found: dict[str, float] = {}
    for name, build, convert in _ways(request["snapshot"]):
        spans = [_round(request, build, convert) for _ in range(request["rounds"])]
        found[name], found["prebuilt"] = min(span[0] for span in spans), min(span[1] for span in spans)
    print(json.dumps(found))


def _ways(snapshot: Update) -> list[tuple[str, Build, Callable[[Update], Update]]]:
    places = [max(len(level[part].partition(".")[2]) for side in snapshot for level in side) for part in (0, 1)]
    return [
        ("texts", _from_texts, lambda update: update),
        ("integers", _from_integers(*places), _scaled),
        ("raw", _from_raw(*places), _scaled),
    ]


def _from_texts(update: Update) -> Any:
    """Build deltas from a venue's texts as its own adapters do."""
    deltas = []
    for side, levels in zip(SIDES, update, strict=True):
        for level in levels:
            size = Quantity.from_str(level[1])
            order = BookOrder(side, Price.from_str(level[0]), size, 0)
            deltas.append(OrderBookDelta(INSTRUMENT, UPDATE if size.raw else DELETE, order, 0, 1, 1, 1))
    return OrderBookDeltas(INSTRUMENT, deltas) if deltas else None


def _from_integers(price_places: int, size_places: int) -> Build:
    def build(update: Update) -> Any:
        deltas = []
        for side, levels in zip(SIDES, update, strict=True):
            for price, size in levels:
                order = BookOrder(side, Price.from_raw(price, price_places), Quantity.from_raw(size, size_places), 0)
                deltas.append(OrderBookDelta(INSTRUMENT, UPDATE if size else DELETE, order, 0, 1, 1, 1))
        return OrderBookDeltas(INSTRUMENT, deltas) if deltas else None

    return build


def _from_raw(price_places: int, size_places: int) -> Build:
    make = OrderBookDelta.from_raw

    def build(update: Update) -> Any:
        deltas = [
            make(INSTRUMENT, UPDATE if size else DELETE, side, price, price_places, size, size_places, 0, 0, 1, 1, 1)
            for side, levels in zip(SIDES, update, strict=True)
            for price, size in levels
        ]
        return OrderBookDeltas(INSTRUMENT, deltas) if deltas else None

    return build


def _scaled(update: Update) -> Update:
    """Return the integers that it stores inside, ready made: making them is left out of its time."""
    return [[(_raw(level[0]), _raw(level[1])) for level in levels] for levels in update]


def _raw(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(FIXED_PRECISION, "0"))


def _round(request: dict[str, Any], build: Build, convert: Callable[[Update], Update]) -> tuple[float, float]:
    updates = [convert(update) for update in json.loads(json.dumps(request["updates"]))]
    book = _begin(build(convert(request["snapshot"])))
    began = perf_counter_ns()
    for update in updates:
        deltas = build(update)
        if deltas is not None:
            book.apply_deltas(deltas)
    built = perf_counter_ns() - began
    ready = [deltas for deltas in map(build, updates) if deltas is not None]
    book = _begin(build(convert(request["snapshot"])))
    began = perf_counter_ns()
    for deltas in ready:
        book.apply_deltas(deltas)
    return built / len(updates), (perf_counter_ns() - began) / len(updates)


def _begin(snapshot: Any) -> Any:
    book = OrderBook(INSTRUMENT, BookType.L2_MBP)
    book.apply_deltas(snapshot)
    return book


if __name__ == "__main__":
    main()
