"""A seeded stream of USD-M frames around one deep book: ids that chain, prices that wander, nothing crossed."""

import json
from collections.abc import Iterable, Iterator
from random import Random
from typing import Final

from components.market_data.core.changes import DepthImage
from components.market_data.core.instruments import Registry
from components.market_data.venues.binance.dialect import BinanceUmDialect
from components.market_data.venues.binance.settings import BinanceSettings

TOUCHED: Final = 8
NEAR: Final = 0.7
"""So many of the touches fall within the best levels; the rest anywhere in the book."""
NEAR_LEVELS: Final = 25
GONE: Final = 0.3
MOVES: Final = 0.2
BEGIN_TICKS: Final = 500_000
STREAM: Final = "btcusdt@depth@100ms"
LISTED: Final = {
    "symbol": "BTCUSDT",
    "pair": "BTCUSDT",
    "contractType": "PERPETUAL",
    "deliveryDate": 4_133_404_800_000,
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "filters": [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "0.10", "maxPrice": "10000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
    ],
}


class Flow:
    """Bids stand below the middle, asks at it and above; it moves a tick at a time, and both ends follow."""

    def __init__(self, levels: int, seed: int) -> None:
        self._levels, self._dice = levels, Random(seed)
        self._middle, self._id = BEGIN_TICKS, 1_000
        (self.instrument,) = self.dialect().read_instruments([self.metadata()])

    def metadata(self) -> bytes:
        """Write what the venue says of the instrument."""
        return json.dumps({"symbols": [LISTED]}).encode()

    def dialect(self) -> BinanceUmDialect:
        """Make a dialect that has read nothing yet."""
        dialect = BinanceUmDialect("ws://localhost", "http://localhost", BinanceSettings())
        dialect.learn(Registry(dialect.read_instruments([self.metadata()])))
        return dialect

    def image_text(self) -> str:
        """Write the whole book as it stands now."""
        bids = [(self._middle - 1 - place, "1.500") for place in range(self._levels)]
        asks = [(self._middle + place, "1.500") for place in range(self._levels)]
        return f'{{"lastUpdateId":{self._id},"E":1,"T":1,"bids":{_write(bids)},"asks":{_write(asks)}}}'

    def image(self) -> DepthImage:
        """Read it too."""
        return self.dialect().read_image(self.instrument.symbol, self.image_text().encode(), 0)

    def frames(self) -> Iterator[bytes]:
        """Go on for ever."""
        dice = self._dice
        while True:
            bids, asks = dict[int, str](), dict[int, str]()
            if dice.random() < MOVES:
                self._move(bids, asks)
            for _ in range(TOUCHED):
                place, text = self._place(), "0" if dice.random() < GONE else f"{dice.randrange(1, 99_999) / 1_000:.3f}"
                if dice.random() < 0.5:
                    bids[self._middle - 1 - place] = text
                else:
                    asks[self._middle + place] = text
            yield self._frame(bids, asks)

    def _place(self) -> int:
        within = min(NEAR_LEVELS, self._levels) if self._dice.random() < NEAR else self._levels
        return self._dice.randrange(within)

    def _move(self, bids: dict[int, str], asks: dict[int, str]) -> None:
        """Move the middle by a tick: the best on one side goes, the other grows to it, and both ends follow."""
        low, high = self._middle - self._levels, self._middle + self._levels - 1
        if self._dice.random() < 0.5:
            asks |= {self._middle: "0", high + 1: "2.000"}
            bids |= {self._middle: "1.000", low: "0"}
            self._middle += 1
        else:
            bids |= {self._middle - 1: "0", low - 1: "2.000"}
            asks |= {self._middle - 1: "1.000", high: "0"}
            self._middle -= 1

    def _frame(self, bids: dict[int, str], asks: dict[int, str]) -> bytes:
        before, self._id = self._id, self._id + self._dice.randrange(1, 900)
        ids = f'"U":{before + 1},"u":{self._id},"pu":{before}'
        sides = f'"b":{_write(bids.items())},"a":{_write(asks.items())}'
        at_ms = 1_767_225_600_000
        head = f'{{"stream":"{STREAM}","data":{{"e":"depthUpdate","E":{at_ms},"T":{at_ms},"s":"BTCUSDT"'
        return f"{head},{ids},{sides}}}}}".encode()


def _write(levels: Iterable[tuple[int, str]]) -> str:
    return "[" + ",".join(f'["{ticks // 10}.{ticks % 10}0","{size}"]' for ticks, size in levels) + "]"
