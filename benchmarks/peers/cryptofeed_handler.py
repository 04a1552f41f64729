"""Runs cryptofeed's own handlers over recorded frames and prints the time of each; runs in the peers' environment."""

# ruff: noqa: ANN401 -- its types are not installed where this is checked

import asyncio
import json
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from cryptofeed.defines import ASK, BID, L2_BOOK  # type: ignore[import-not-found] # installed in the peers' place only
from cryptofeed.exchanges import (  # type: ignore[import-not-found] # installed in the peers' place only
    OKX,
    Binance,
    BinanceFutures,
    Deribit,
)
from cryptofeed.symbols import Symbols  # type: ignore[import-not-found] # installed in the peers' place only

FEEDS = {"BINANCE": Binance, "BINANCEUM": BinanceFutures, "OKX": OKX, "DERIBIT": Deribit}
TOP = 10


class Recorded:
    """Replaces a connection: what is fetched is what was recorded."""

    uuid = "recorded"

    def __init__(self, snapshot: str) -> None:
        self._snapshot = snapshot

    async def write(self, _text: str) -> None:
        """Accept every subscription."""

    async def read(self, _url: str) -> str:
        """Return the snapshot of the book."""
        return self._snapshot


def main() -> None:
    """Read frames, print the nanoseconds of each in each round."""
    request = json.load(sys.stdin)
    metadata = [_ordered(json.loads(text)) for text in request["metadata"]]
    see = _read_top if request["reads_top"] else _see
    rounds = []
    for _ in range(request["rounds"]):
        feed = _feed(request, metadata, see)
        rounds.append(asyncio.run(_round(feed, Recorded(request["snapshot"]), request["texts"])))
    print(json.dumps({"rounds": rounds}))


def _ordered(answer: Any) -> Any:
    """Put the tick first among Binance's filters, where cryptofeed expects it."""
    for symbol in answer.get("symbols", ()):
        symbol["filters"].sort(key=lambda one: "tickSize" not in one)
    return answer


def _feed(request: dict[str, Any], metadata: list[Any], see: Callable[[Any, float], Any]) -> Any:
    kind = FEEDS[request["venue"]]
    # A feed with several lists of instruments takes a list of responses, one with a single list the response.
    answers = metadata[0] if request["venue"].startswith("BINANCE") else metadata
    symbols, details = kind._parse_symbol_data(answers)  # noqa: SLF001 -- it fetches them where it is not told
    Symbols.set(kind.id, symbols, details)
    listed = [name for name, native in symbols.items() if "PINDEX" not in name and name != native]
    return kind(
        config={kind.id.lower(): {"key_id": "none", "key_secret": "none"}},
        symbols=listed or list(symbols),
        channels=[L2_BOOK],
        callbacks={L2_BOOK: see},
        checksum_validation=request["validates"],
    )


async def _see(_book: Any, _receipt: float) -> None:
    """Do nothing: the least that a consumer of its books can do."""


async def _read_top(book: Any, _receipt: float) -> None:
    """Read as much of the book as ours returns."""
    for side in (BID, ASK):
        levels = book.book[side]
        _ = [levels.index(place) for place in range(min(TOP, len(levels)))]


async def _round(feed: Any, recorded: Recorded, texts: list[str]) -> list[int]:
    feed.http_conn = recorded
    await feed.subscribe(recorded)
    handle, spans = feed.message_handler, []
    for text in texts:
        began = perf_counter_ns()
        await handle(text, recorded, 1.0)
        spans.append(perf_counter_ns() - began)
    return spans


if __name__ == "__main__":
    main()
