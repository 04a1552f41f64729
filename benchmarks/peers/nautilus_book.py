"""Runs nautilus_trader's order book over decoded changes and prints what one took; it runs in the peers' place."""

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

Change = list[list[Any]]
Build = Callable[[Change], Any]

INSTRUMENT = InstrumentId.from_str("BOOK.VENUE")
SIDES = (OrderSide.BUY, OrderSide.SELL)
UPDATE, DELETE = BookAction.UPDATE, BookAction.DELETE


def main() -> None:
    """Read changes as texts, print the least nanoseconds of one change in every way of building its deltas."""
    asked = json.load(sys.stdin)
    found: dict[str, float] = {}
    for name, build, convert in _ways(asked["image"]):
        spans = [_round(asked, build, convert) for _ in range(asked["rounds"])]
        found[name], found["prebuilt"] = min(span[0] for span in spans), min(span[1] for span in spans)
    print(json.dumps(found))


def _ways(image: Change) -> list[tuple[str, Build, Callable[[Change], Change]]]:
    places = [max(len(level[part].partition(".")[2]) for side in image for level in side) for part in (0, 1)]
    return [
        ("texts", _from_texts, lambda change: change),
        ("integers", _from_integers(*places), _scaled),
        ("raw", _from_raw(*places), _scaled),
    ]


def _from_texts(change: Change) -> Any:
    """Build as its own adapters do of a venue's texts."""
    deltas = []
    for side, levels in zip(SIDES, change, strict=True):
        for level in levels:
            size = Quantity.from_str(level[1])
            order = BookOrder(side, Price.from_str(level[0]), size, 0)
            deltas.append(OrderBookDelta(INSTRUMENT, UPDATE if size.raw else DELETE, order, 0, 1, 1, 1))
    return OrderBookDeltas(INSTRUMENT, deltas) if deltas else None


def _from_integers(price_places: int, size_places: int) -> Build:
    def build(change: Change) -> Any:
        deltas = []
        for side, levels in zip(SIDES, change, strict=True):
            for price, size in levels:
                order = BookOrder(side, Price.from_raw(price, price_places), Quantity.from_raw(size, size_places), 0)
                deltas.append(OrderBookDelta(INSTRUMENT, UPDATE if size else DELETE, order, 0, 1, 1, 1))
        return OrderBookDeltas(INSTRUMENT, deltas) if deltas else None

    return build


def _from_raw(price_places: int, size_places: int) -> Build:
    make = OrderBookDelta.from_raw

    def build(change: Change) -> Any:
        deltas = [
            make(INSTRUMENT, UPDATE if size else DELETE, side, price, price_places, size, size_places, 0, 0, 1, 1, 1)
            for side, levels in zip(SIDES, change, strict=True)
            for price, size in levels
        ]
        return OrderBookDeltas(INSTRUMENT, deltas) if deltas else None

    return build


def _scaled(change: Change) -> Change:
    """Have the integers ready that it keeps inside: making them is left out of its time."""
    return [[(_raw(level[0]), _raw(level[1])) for level in levels] for levels in change]


def _raw(text: str) -> int:
    whole, _, part = text.partition(".")
    return int(whole + part.ljust(FIXED_PRECISION, "0"))


def _round(asked: dict[str, Any], build: Build, convert: Callable[[Change], Change]) -> tuple[float, float]:
    changes = [convert(change) for change in json.loads(json.dumps(asked["changes"]))]
    book = _begin(build(convert(asked["image"])))
    began = perf_counter_ns()
    for change in changes:
        deltas = build(change)
        if deltas is not None:
            book.apply_deltas(deltas)
    built = perf_counter_ns() - began
    ready = [deltas for deltas in map(build, changes) if deltas is not None]
    book = _begin(build(convert(asked["image"])))
    began = perf_counter_ns()
    for deltas in ready:
        book.apply_deltas(deltas)
    return built / len(changes), (perf_counter_ns() - began) / len(changes)


def _begin(image: Any) -> Any:
    book = OrderBook(INSTRUMENT, BookType.L2_MBP)
    book.apply_deltas(image)
    return book


if __name__ == "__main__":
    main()
