"""Generated recordings of each crypto venue, in the format of all recordings, with the expected states beside them."""

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple
from zlib import crc32

from tests.support.synthetic_books import Batch, BookSides, Level, SyntheticMarket, generate_market, plain_decimal

START_MS = 1_767_225_600_000
STEP_MS = 100
LATENCY_NS = 7_000_000
SNAPSHOT_AFTER = 3
"""Binance's snapshot comes after this many updates, and is as of the last of them."""
NS_PER_MS = 1_000_000
CHECKSUM_LEVELS = 25


class RecordedLine(NamedTuple):
    """One frame as it was received."""

    at_ns: int
    via: str
    url: str
    text: str


class Recording(NamedTuple):
    """Its lines, the counts that the venue's rules imply, and the canonical top 10 at each id from the snapshot on."""

    lines: tuple[RecordedLine, ...]
    applied: int
    stale: int
    expected_tops: dict[int, str]

    def text(self) -> str:
        """Return the content of its file."""
        return "".join(json.dumps(line._asdict(), separators=(",", ":")) + "\n" for line in self.lines)


def parse_lines(text: str) -> tuple[RecordedLine, ...]:
    """Parse the content of a recording's file."""
    return tuple(RecordedLine(**json.loads(line)) for line in text.splitlines())


def binance_spot(seed: int = 1, changes: int = 120) -> Recording:
    """Record BTCUSDT of the spot market, with quotes and trades between the depth updates."""
    market, tick, lot = generate_market(seed, changes, 1), Decimal("0.01"), Decimal("0.001")
    stream, rest = "wss://stream.binance.com:9443/stream?streams=btcusdt@depth@100ms", "https://api.binance.com/api/v3"
    pair = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}
    listing = {"symbols": [pair | {"filters": _filters("0.01000000", "0.00100000")}]}
    write = _Texts(tick, lot, "{:.8f}", "{:.8f}")

    def change(batch: Batch, at_ms: int) -> str:
        ids = f'"U":{batch.first_id},"u":{batch.last_id}'
        return f'{{"e":"depthUpdate","E":{at_ms},"s":"BTCUSDT",{ids},"b":{write(batch.bids)},"a":{write(batch.asks)}}}'

    def ticker(final: int, best: BookSides, _at_ms: int) -> str:
        (bid, bids), (ask, asks) = write.one(best.bids[0]), write.one(best.asks[0])
        return f'{{"u":{final},"s":"BTCUSDT","b":"{bid}","B":"{bids}","a":"{ask}","A":"{asks}"}}'

    snapshot_id = market.batches[SNAPSHOT_AFTER - 1].last_id
    book = market.books[snapshot_id]
    snapshot = f'{{"lastUpdateId":{snapshot_id},"bids":{write(book.bids)},"asks":{write(book.asks)}}}'
    fetched = RecordedLine(0, "http", f"{rest}/depth?symbol=BTCUSDT&limit=1000", snapshot)
    frames = _binance_frames(market, stream, change, ticker)
    lines = (_listed(f"{rest}/exchangeInfo", json.dumps(listing)), *_with_snapshot(frames, fetched))
    return Recording(lines, changes - SNAPSHOT_AFTER, SNAPSHOT_AFTER, _expected_tops(market, snapshot_id, tick, lot))


def binance_um(seed: int = 2, changes: int = 120) -> Recording:
    """Record BTCUSDT of the USD-M market: ids have gaps; the update that ends at the snapshot's id is applied again."""
    market, tick, lot = generate_market(seed, changes, 60), Decimal("0.1"), Decimal("0.001")
    stream, rest = "wss://fstream.binance.com/stream?streams=btcusdt@depth@100ms", "https://fapi.binance.com/fapi/v1"
    pair = {"symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000}
    steps = {"pricePrecision": 2, "quantityPrecision": 3, "filters": _filters("0.10", "0.001")}
    names = {"status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT"}
    write = _Texts(tick, lot, "{:.2f}", "{:.3f}")

    def change(batch: Batch, at_ms: int) -> str:
        head = f'"e":"depthUpdate","E":{at_ms},"T":{at_ms - 8},"s":"BTCUSDT","ps":"BTCUSDT","st":1'
        ids = f'"U":{batch.first_id},"u":{batch.last_id},"pu":{batch.prev_id}'
        return f'{{{head},{ids},"b":{write(batch.bids)},"a":{write(batch.asks)}}}'

    def ticker(final: int, best: BookSides, at_ms: int) -> str:
        (bid, bids), (ask, asks) = write.one(best.bids[0]), write.one(best.asks[0])
        top = f'"s":"BTCUSDT","b":"{bid}","B":"{bids}","a":"{ask}","A":"{asks}"'
        return f'{{"e":"bookTicker","u":{final},{top},"T":{at_ms - 3},"E":{at_ms}}}'

    snapshot_id = market.batches[SNAPSHOT_AFTER - 1].last_id
    book, at_ms = market.books[snapshot_id], START_MS + SNAPSHOT_AFTER * STEP_MS
    sides = f'"bids":{write(book.bids)},"asks":{write(book.asks)}'
    fetched = RecordedLine(
        0,
        "http",
        f"{rest}/depth?symbol=BTCUSDT&limit=1000",
        f'{{"lastUpdateId":{snapshot_id},"E":{at_ms},"T":{at_ms - 2},{sides}}}',
    )
    frames = _binance_frames(market, stream, change, ticker)
    listing = json.dumps({"symbols": [pair | names | steps]})
    lines = (_listed(f"{rest}/exchangeInfo", listing), *_with_snapshot(frames, fetched))
    return Recording(
        lines, changes - SNAPSHOT_AFTER + 1, SNAPSHOT_AFTER - 1, _expected_tops(market, snapshot_id, tick, lot)
    )


def okx(seed: int = 3, changes: int = 120, *, has_checksums: bool = False) -> Recording:
    """Record books of BTC-USDT-SWAP, whose quantities are contracts; checksums are 0 unless requested."""
    market, tick, lot = generate_market(seed, changes, 9), Decimal("0.1"), Decimal("0.01")
    url, arg = "wss://ws.okx.com:8443/ws/v5/public", '"arg":{"channel":"books","instId":"BTC-USDT-SWAP"}'
    swap = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "instFamily": "BTC-USDT", "uly": "BTC-USDT", "expTime": ""}
    units = {"ctType": "linear", "ctVal": "0.01", "ctMult": "1", "ctValCcy": "BTC", "settleCcy": "USDT"}
    steps = {"tickSz": "0.1", "lotSz": "0.01", "minSz": "0.01", "state": "live", "baseCcy": "", "quoteCcy": ""}
    write = _Texts(tick, lot, "{:.1f}", "{:.2f}", level='["{}","{}","0","3"]')

    def frame(action: str, batch: Batch, at_ms: int) -> str:
        checksum = _crc(market.books[batch.last_id], write) if has_checksums else 0
        ids = f'"checksum":{checksum},"prevSeqId":{batch.prev_id},"seqId":{batch.last_id}'
        sides = f'"asks":{write(batch.asks)},"bids":{write(batch.bids)}'
        return f'{{{arg},"action":"{action}","data":[{{{sides},"ts":"{at_ms}",{ids}}}]}}'

    first = Batch(-1, market.start_id, market.start_id, *market.books[market.start_id])
    texts = [f'{{"id":"1","event":"subscribe",{arg},"connId":"a4d3ae55"}}', frame("snapshot", first, START_MS)]
    texts += [frame("update", batch, START_MS + number * STEP_MS) for number, batch in enumerate(market.batches, 1)]
    listing = json.dumps({"code": "0", "msg": "", "data": [swap | units | steps]})
    lines = (_listed("https://www.okx.com/api/v5/public/instruments?instType=SWAP", listing), *_stamped(texts, url))
    return Recording(lines, changes, 0, _expected_tops(market, market.start_id, tick, lot))


def deribit(seed: int = 4, changes: int = 120) -> Recording:
    """Record book.BTC-PERPETUAL.100ms, whose numbers are JSON's and whose amounts are dollars."""
    market, tick, lot = generate_market(seed, changes, 400), Decimal("0.5"), Decimal(10)
    channel = "book.BTC-PERPETUAL.100ms"
    future = {"instrument_name": "BTC-PERPETUAL", "kind": "future", "instrument_type": "reversed", "is_active": True}
    coins = {"base_currency": "BTC", "quote_currency": "USD", "counter_currency": "USD", "settlement_currency": "BTC"}
    steps = {"tick_size": 0.5, "contract_size": 10.0, "min_trade_amount": 10.0, "tick_size_steps": []}
    ends = {"settlement_period": "perpetual", "expiration_timestamp": 32_503_708_800_000}

    def frame(head: str, batch: Batch, before: BookSides, at_ms: int) -> str:
        bids, asks = _acted(batch.bids, before.bids, tick, lot), _acted(batch.asks, before.asks, tick, lot)
        data = f'{head},"timestamp":{at_ms},"instrument_name":"BTC-PERPETUAL","change_id":{batch.last_id}'
        params = f'{{"channel":"{channel}","data":{{{data},"bids":{bids},"asks":{asks}}}}}'
        return f'{{"jsonrpc":"2.0","method":"subscription","params":{params}}}'

    first = Batch(0, market.start_id, market.start_id, *market.books[market.start_id])
    texts = [
        f'{{"jsonrpc":"2.0","id":1,"result":["{channel}"],"usIn":1,"usOut":2,"usDiff":1,"testnet":false}}',
        frame('"type":"snapshot"', first, BookSides((), ()), START_MS),
    ]
    for number, batch in enumerate(market.batches, 1):
        head = f'"type":"change","prev_change_id":{batch.prev_id}'
        texts.append(frame(head, batch, market.books[batch.prev_id], START_MS + number * STEP_MS))
    listing = json.dumps({"jsonrpc": "2.0", "result": [future | coins | steps | ends]})
    where = "https://www.deribit.com/api/v2/public/get_instruments?currency=BTC&expired=false"
    lines = (_listed(where, listing), *_stamped(texts, "wss://www.deribit.com/ws/api/v2"))
    return Recording(lines, changes, 0, _expected_tops(market, market.start_id, tick, lot))


class _Texts:
    """Writes levels as a venue does."""

    def __init__(self, tick: Decimal, lot: Decimal, price: str, quantity: str, *, level: str = '["{}","{}"]') -> None:
        self._tick, self._lot = tick, lot
        self._price, self._quantity, self._level = price, quantity, level

    def __call__(self, side: tuple[Level, ...]) -> str:
        return "[" + ",".join(self._level.format(*self.one(level)) for level in side) + "]"

    def one(self, level: Level) -> tuple[str, str]:
        """Write the price and the quantity of one level."""
        return self._price.format(level[0] * self._tick), self._quantity.format(level[1] * self._lot)


def _binance_frames(
    market: SyntheticMarket, url: str, change: Callable[[Batch, int], str], ticker: Callable[[int, BookSides, int], str]
) -> Iterator[RecordedLine]:
    for number, batch in enumerate(market.batches):
        at_ms = START_MS + number * STEP_MS
        at_ns = at_ms * NS_PER_MS + LATENCY_NS
        quote = ticker(batch.last_id, market.books[batch.last_id], at_ms)
        yield RecordedLine(at_ns, "ws", url, f'{{"stream":"btcusdt@bookTicker","data":{quote}}}')
        yield RecordedLine(at_ns + 1, "ws", url, f'{{"stream":"btcusdt@depth@100ms","data":{change(batch, at_ms)}}}')
        if number % 10 == 0:
            ids = f'"a":{number},"p":"100.00","q":"0.005","f":{number},"l":{number}'
            trade = f'{{"e":"aggTrade","E":{at_ms},"s":"BTCUSDT",{ids},"T":{at_ms - 5},"m":true}}'
            yield RecordedLine(at_ns + 2, "ws", url, f'{{"stream":"btcusdt@aggTrade","data":{trade}}}')


def _with_snapshot(frames: Iterator[RecordedLine], snapshot: RecordedLine) -> Iterator[RecordedLine]:
    changes = 0
    for line in frames:
        yield line
        changes += '"depthUpdate"' in line.text
        if changes == SNAPSHOT_AFTER and '"depthUpdate"' in line.text:
            yield snapshot._replace(at_ns=line.at_ns + 1)


def _stamped(texts: list[str], url: str) -> Iterator[RecordedLine]:
    for number, text in enumerate(texts):
        yield RecordedLine((START_MS + number * STEP_MS) * NS_PER_MS + LATENCY_NS, "ws", url, text)


def _listed(url: str, text: str) -> RecordedLine:
    return RecordedLine((START_MS - 1000) * NS_PER_MS, "http", url, text)


def _filters(tick: str, lot: str) -> list[dict[str, str]]:
    return [
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "9000", "stepSize": lot},
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
    ]


def _expected_tops(market: SyntheticMarket, from_id: int, tick: Decimal, lot: Decimal) -> dict[int, str]:
    return {final: book.canonical(tick, lot) for final, book in market.books.items() if final >= from_id}


def _crc(book: BookSides, write: _Texts) -> int:
    bids, asks = (list(map(write.one, side[:CHECKSUM_LEVELS])) for side in book)
    words = []
    for place in range(CHECKSUM_LEVELS):
        words += [":".join(level) for side in (bids, asks) for level in side[place : place + 1]]
    value = crc32(":".join(words).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def _acted(side: tuple[Level, ...], before: tuple[Level, ...], tick: Decimal, lot: Decimal) -> str:
    known, levels = dict(before), []
    for price, lots in side:
        if lots == 0 and price not in known:
            continue
        action = "delete" if lots == 0 else "change" if price in known else "new"
        levels.append(f'["{action}",{plain_decimal(price * tick)},{plain_decimal(lots * lot)}.0]')
    return "[" + ",".join(levels) + "]"
