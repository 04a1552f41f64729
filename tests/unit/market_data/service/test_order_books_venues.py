"""Books of each venue through adapter and service: recordings in, published books out.

Each test covers a defect that collectors of market data often have: a lost buffer, a gap by +1, a guessed unit.
"""

import ast
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from components.contracts.market import BookDelta, BookGap, BookSnapshot, BookState, Quote, SymbolHealth, Trade
from components.contracts.streams import BOOKS
from components.contracts.values import Symbol
from components.market_data.core.events import (
    BookStreamUp,
    DecodeIssue,
    DepthUpdate,
    FeedUp,
    InstrumentsLoaded,
    IssueKind,
    MarketEvent,
    Resubscribe,
)
from components.market_data.core.instruments import InstrumentRegistry
from components.market_data.venues.adapter import VenueAdapter
from components.market_data.venues.binance.adapter import SPOT_SEQUENCE_RULE, BinanceFuturesAdapter, BinanceSpotAdapter
from components.market_data.venues.binance.requests import BinanceSettings
from components.market_data.venues.deribit.adapter import DeribitAdapter
from components.market_data.venues.deribit.requests import DeribitSettings
from components.market_data.venues.okx.adapter import OkxAdapter, OkxSequenceRule
from components.market_data.venues.okx.requests import OkxSettings
from tests.support.metric_samples import metric_value
from tests.support.order_book_harness import (
    ONE,
    TWO,
    VENUE,
    OrderBookHarness,
    levels,
    published_bodies,
    published_states,
    venue_book_settings,
)
from tests.support.project import ROOT
from tests.support.synthetic_books import plain_decimal
from tests.support.synthetic_recordings import RecordedLine, Recording, binance_spot, binance_um, deribit, okx

VENUES: Final = ("binance", "okx", "deribit", "alpaca")


def spot_adapter() -> VenueAdapter:
    return BinanceSpotAdapter("wss://stream.example", "https://rest.example", BinanceSettings())


def usdm_adapter() -> VenueAdapter:
    return BinanceFuturesAdapter("wss://stream.example", "https://rest.example", BinanceSettings())


def okx_adapter() -> VenueAdapter:
    return OkxAdapter("wss://stream.example", "https://rest.example", OkxSettings())


def deribit_adapter() -> VenueAdapter:
    return DeribitAdapter("wss://stream.example", "https://rest.example", DeribitSettings(), None)


class PlayedRecording:
    """A recording decoded by an adapter, handled by the service, and followed by a subscriber."""

    def __init__(self, adapter: VenueAdapter, listing: RecordedLine) -> None:
        instruments = tuple(adapter.decode_instruments([listing.text.encode()]))
        adapter.set_instruments(InstrumentRegistry(instruments))
        self.adapter, self.symbol, venue = adapter, instruments[0].symbol, adapter.venue
        of_venue = venue_book_settings(
            adapter.sequence_rule,
            venue=venue,
            symbols=(self.symbol,),
            pushes_snapshot=adapter.pushes_snapshot,
            levels_published=10,
        )
        self.harness = OrderBookHarness(of_venue)
        self.harness.now_ns = listing.at_ns
        self.harness.deliver(FeedUp(venue), InstrumentsLoaded(venue, instruments), BookStreamUp(venue, self.symbol))

    def play(self, lines: tuple[RecordedLine, ...]) -> "PlayedRecording":
        for line in lines:
            self.harness.now_ns = line.at_ns
            if line.via == "ws":
                self.harness.deliver_frame(*self.read(line.text))
                continue
            request = self.harness.requests()[-1]
            self.harness.complete_call(
                request, self.adapter.decode_snapshot(self.symbol, line.text.encode(), line.at_ns)
            )
        return self

    def read(self, text: str) -> tuple[MarketEvent, ...]:
        return tuple(self.adapter.decode(text.encode(), self.harness.now_ns).data)

    def counted(self, outcome: str) -> float:
        self.harness.advance_ms(1_000)
        return metric_value(self.harness.metrics, "market_book_events_total", venue=self.adapter.venue, outcome=outcome)

    def top(self) -> str:
        """Return the best ten levels in the canonical text of the expected tops."""
        bids, asks = (
            ",".join(f'["{plain_decimal(price)}","{plain_decimal(quantity)}"]' for price, quantity in side)
            for side in self.harness.subscriber.top(self.symbol, 10)
        )
        return f'{{"asks":[{asks}],"bids":[{bids}]}}'


def play_recording(adapter: VenueAdapter, recording: Recording) -> PlayedRecording:
    listing, *lines = recording.lines
    return PlayedRecording(adapter, listing).play(tuple(lines))


# Start of a book


def test_the_buffer_is_replayed_after_the_snapshot() -> None:
    harness = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE)).with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(8, 9, "98x9"))
    for previous, final, level in [(9, 10, "99x10"), (10, 12, "98x12"), (12, 13, "97x0")]:
        assert published_bodies(harness.deliver_update(previous, final, level)) == []
    harness.complete_call(request, harness.depth_snapshot(9))
    assert (harness.subscriber.book_ids[ONE], harness.subscriber.top(ONE)[0]) == (13, levels("99x10", "98x12", "96x1"))


@pytest.mark.parametrize("is_buffered", [True, False])
def test_the_first_event_after_the_snapshot_must_reach_it(is_buffered: bool) -> None:
    harness = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE)).with_instruments(ONE)
    (request,) = harness.requests(
        harness.deliver_update(8, 9) if not is_buffered else harness.deliver_update(12, 13, "99x7")
    )
    effects = harness.complete_call(request, harness.depth_snapshot(10))
    if not is_buffered:
        effects = [*effects, *harness.deliver_update(12, 13, "99x7")]
    assert not harness.subscriber.is_synced(ONE)
    shown = [one for one in published_bodies(effects) if isinstance(one, BookSnapshot | BookDelta)]
    assert all(one.book_id == 10 for one in shown)
    (again,) = harness.requests(effects)
    harness.complete_call(again, harness.depth_snapshot(12))
    assert (harness.subscriber.book_ids[ONE], harness.subscriber.top(ONE, 1)[0]) == (13, levels("99x7"))


def test_the_levels_of_the_snapshot_reach_subscribers() -> None:
    harness = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE, levels_published=4)).with_instruments(ONE)
    (request,) = harness.requests(harness.deliver_update(9, 10))
    (snapshot, *_) = published_bodies(harness.complete_call(request, harness.depth_snapshot(10)), BOOKS)
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.bids, len(snapshot.asks)) == (levels("99x1", "98x1", "97x1", "96x1"), 4)


# Binance USD-M


def test_usdm_chains_by_its_own_previous_id_and_not_by_plus_one() -> None:
    recording = binance_um()
    firsts = [json.loads(line.text)["data"] for line in recording.lines if '"depthUpdate"' in line.text]
    assert any(one["U"] != before["u"] + 1 for before, one in pairwise(firsts))
    this = play_recording(usdm_adapter(), recording)
    assert (this.counted("gaps"), this.counted("applied")) == (0, recording.applied)
    assert this.harness.subscriber.is_synced(this.symbol)
    assert this.top() == recording.expected_tops[max(recording.expected_tops)]


def test_usdm_streams_are_subscribed_on_their_own_routes() -> None:
    adapter = usdm_adapter()
    instruments = adapter.decode_instruments([binance_um().lines[0].text.encode()])
    adapter.set_instruments(InstrumentRegistry(instruments))
    routes = {
        line.url.split("/")[3]: {topic.name for topic in line.topics}
        for line in adapter.plan_connections([instruments[0].symbol])
    }
    assert routes == {
        "public": {"btcusdt@depth@100ms", "btcusdt@bookTicker"},
        "market": {"btcusdt@aggTrade"},
    }


# Id ranges


def test_events_are_placed_by_their_range_and_one_without_levels_counts() -> None:
    harness = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE)).with_instruments(ONE).with_synced_books(ONE)
    harness.deliver_update(10, 14, "99x4")
    # The same stream with other ranges: old content changes nothing, new content is applied.
    assert published_bodies(harness.deliver_update(12, 14, "99x3")) == []
    harness.deliver_update(13, 16, "99x6")
    harness.deliver_update(16, 20)
    harness.deliver_update(20, 21, "99x7")
    assert (harness.subscriber.book_ids[ONE], harness.subscriber.top(ONE, 1)[0], harness.subscriber.gaps) == (
        21,
        levels("99x7"),
        [],
    )


# Names and units


def test_contracts_become_coins_on_every_way_and_an_unlisted_one_is_never_guessed() -> None:
    recording = okx()
    this = play_recording(okx_adapter(), recording)
    (first, *_) = [one for one in published_bodies(this.harness.effects, BOOKS) if isinstance(one, BookSnapshot)]
    frame = next(json.loads(line.text) for line in recording.lines if '"snapshot"' in line.text)
    contracts = Decimal(frame["data"][0]["bids"][0][1])
    assert first.bids[0][1] == contracts * Decimal("0.01")
    for text, size in ((TRADE, "size"), (BEST, "bid_size")):
        (datum,) = this.read(text % "BTC-USDT-SWAP")
        assert getattr(datum, size) == Decimal("0.07")
        (unlisted,) = this.read(text % "ETH-USDT-SWAP")
        assert isinstance(unlisted, DecodeIssue)
        assert unlisted.kind is IssueKind.UNLISTED


TRADE: Final = (
    '{"arg":{"channel":"trades","instId":"%s"},"data":[{"instId":"BTC-USDT-SWAP","tradeId":"130639474","px":"100.1",'
    '"sz":"7","side":"buy","ts":"1767225612000","count":"1","seqId":5}]}'
)
BEST: Final = (
    '{"arg":{"channel":"bbo-tbt","instId":"%s"},"data":[{"asks":[["101","9","0","2"]],"bids":[["100","7","0","2"]],'
    '"ts":"1767225612000","seqId":363996337}]}'
)


@pytest.mark.parametrize(
    ("native", "base", "quote", "symbol"),
    [
        ("USDTTRY", "USDT", "TRY", "BINANCE:USDT-TRY"),
        ("BUSDUSDT", "BUSD", "USDT", "BINANCE:BUSD-USDT"),
        ("1000SATSFDUSD", "1000SATS", "FDUSD", "BINANCE:1000SATS-FDUSD"),
        ("BTCUSD", "BT", "CUSD", "BINANCE:BT-CUSD"),
    ],
)
def test_symbols_come_from_the_venues_metadata_and_not_from_suffixes(
    native: str, base: str, quote: str, symbol: str
) -> None:
    adapter = spot_adapter()
    row = {"symbol": native, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": []}
    (found,) = adapter.decode_instruments([json.dumps({"symbols": [row]}).encode()])
    assert (found.symbol, found.venue_symbol) == (symbol, native)
    adapter.set_instruments(InstrumentRegistry([found]))
    frame = f'{{"e":"depthUpdate","E":1,"s":"{native}","U":1,"u":2,"b":[["1","2"]],"a":[]}}'
    stream = f"{native.lower()}@depth@100ms"
    (change,) = adapter.decode(f'{{"stream":"{stream}","data":{frame}}}'.encode(), 1).data
    assert isinstance(change, DepthUpdate)
    assert change.symbol == symbol


@pytest.mark.parametrize(
    ("adapter", "recording", "others"),
    [
        (spot_adapter, binance_spot, ()),
        (usdm_adapter, binance_um, ()),
        (okx_adapter, okx, (TRADE % "BTC-USDT-SWAP", BEST % "BTC-USDT-SWAP")),
    ],
)
def test_books_quotes_and_trades_share_one_name(adapter: type, recording: type, others: tuple[str, ...]) -> None:
    this = play_recording(adapter(), recording())
    this.harness.deliver_frame(*(datum for text in others for datum in this.read(text)))
    named: dict[type, set[Symbol]] = {}
    for body in published_bodies(this.harness.effects):
        if isinstance(body, Quote | Trade | BookSnapshot | BookDelta | SymbolHealth):
            named.setdefault(type(body), set()).add(body.symbol)
    assert set(named) == {Quote, Trade, BookSnapshot, BookDelta, SymbolHealth}
    assert set().union(*named.values()) == {this.symbol}
    assert this.symbol.startswith(f"{this.adapter.venue}:")


# OKX


def test_an_okx_gap_ends_one_book_and_keep_alive_reset_and_snapshot_are_none() -> None:
    harness = OrderBookHarness(venue_book_settings(OkxSequenceRule(), pushes_snapshot=True)).with_instruments()
    for symbol in (ONE, TWO):
        harness.deliver_frame(harness.depth_snapshot(100, symbol=symbol, is_pushed=True))
    harness.deliver_update(100, 100)
    harness.deliver_update(100, 7, "99x2")
    harness.deliver_update(7, 8, "99x3")
    harness.deliver_frame(harness.depth_snapshot(50, is_pushed=True))
    harness.deliver_update(50, 51, "99x4")
    assert (harness.subscriber.is_synced(ONE), harness.subscriber.gaps, harness.requests()) == (True, [], [])
    effects = harness.deliver_update(60, 61, "99x5")
    assert [type(one) for one in published_bodies(effects, BOOKS)] == [BookGap, SymbolHealth]
    assert published_states(effects) == [(ONE, BookState.GAP)]
    assert harness.requests(effects) == [Resubscribe(VENUE, ONE, harness.requests(effects)[0].epoch)]
    assert published_bodies(harness.deliver_update(100, 101, "99x9", symbol=TWO), BOOKS) != []
    harness.deliver_frame(harness.depth_snapshot(70, is_pushed=True))
    assert (harness.subscriber.is_synced(ONE), harness.subscriber.book_ids) == (True, {ONE: 70, TWO: 101})


# Numbers


def test_every_digit_of_a_price_and_quantity_survives() -> None:
    harness = OrderBookHarness().with_instruments(ONE).with_synced_books(ONE)
    price, quantity = "99.12345678901234567891", "0.10000000000000000003"
    harness.deliver_update(10, 11, f"{price}x{quantity}")
    ((shown, size),) = harness.subscriber.top(ONE, 1)[0]
    assert (type(shown), type(size)) == (Decimal, Decimal)
    assert (str(shown), str(size)) == (price, quantity)
    # Two prices that are equal as floats are two levels.
    harness.deliver_update(11, 12, "99.12345678901234567892x5")
    assert len({level for level, _ in harness.subscriber.top(ONE)[0]}) == 3


def test_numbers_that_a_venue_sends_as_json_numbers_lose_nothing() -> None:
    recording = deribit()
    this = play_recording(deribit_adapter(), recording)
    data = {
        "type": "change",
        "timestamp": 1767225700000,
        "prev_change_id": this.harness.subscriber.book_ids[this.symbol],
    }
    data |= {"instrument_name": "BTC-PERPETUAL", "change_id": 10**15}
    head = json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": CHANNEL, "data": data}})
    tiny = '"bids":[["new",100.00000000000000001,5e-05]],"asks":[]'
    (change,) = this.read(head[:-3] + "," + tiny + "}}}")
    assert isinstance(change, DepthUpdate)
    (level,) = change.bids
    assert [Decimal(text) for text in level[:2]] == [Decimal("100.00000000000000001"), Decimal("0.00005")]


CHANNEL: Final = "book.BTC-PERPETUAL.100ms"


# No venue in the engine


def words(path: Path) -> Iterator[str]:
    """Yield the names and texts of a module's code, without its docstrings."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word) | ast.ImportFrom(module=str(word)):
                yield word
            case ast.Constant(value=str(word)) if id(node) not in docs:
                yield word
            case _:
                pass


def test_neither_service_nor_core_knows_a_venue() -> None:
    folder = ROOT / "components/market_data"
    known = {
        (path.name, venue)
        for room in ("core", "service")
        for path in (folder / room).glob("*.py")
        for word in words(path)
        for venue in (*VENUES, "market_data.venues")
        if venue in word.lower()
    }
    assert known == set()


# Counters


def test_a_frame_of_many_events_counts_once_and_each_event_once() -> None:
    harness = OrderBookHarness().with_instruments().with_synced_books()
    frames = reading_frames(harness)
    harness.deliver_frame(
        harness.depth_update(10, 11, "99x2"),
        harness.depth_update(11, 12, "99x3"),
        harness.depth_update(10, 11, "99x4", symbol=TWO),
    )
    assert reading_frames(harness) == frames + 1
    counted = metric_value(harness.metrics, "market_book_events_total", venue=VENUE, outcome="applied")
    assert counted == 3


def reading_frames(harness: OrderBookHarness) -> float:
    harness.advance_ms(1_000)
    return metric_value(harness.metrics, "market_frames_total", venue=VENUE)
