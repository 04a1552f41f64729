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


def spot() -> VenueAdapter:
    return BinanceSpotAdapter("wss://stream.example", "https://rest.example", BinanceSettings())


def usdm() -> VenueAdapter:
    return BinanceFuturesAdapter("wss://stream.example", "https://rest.example", BinanceSettings())


def of_okx() -> VenueAdapter:
    return OkxAdapter("wss://stream.example", "https://rest.example", OkxSettings())


def of_deribit() -> VenueAdapter:
    return DeribitAdapter("wss://stream.example", "https://rest.example", DeribitSettings(), None)


class Played:
    """A recording that a dialect reads, the service hears, and a hearer follows."""

    def __init__(self, dialect: VenueAdapter, listing: RecordedLine) -> None:
        instruments = tuple(dialect.decode_instruments([listing.text.encode()]))
        dialect.set_instruments(InstrumentRegistry(instruments))
        self.dialect, self.symbol, venue = dialect, instruments[0].symbol, dialect.venue
        of_venue = venue_book_settings(
            dialect.sequence_rule,
            venue=venue,
            symbols=(self.symbol,),
            pushes_snapshot=dialect.pushes_snapshot,
            levels_published=10,
        )
        self.desk = OrderBookHarness(of_venue)
        self.desk.now_ns = listing.at_ns
        self.desk.deliver(FeedUp(venue), InstrumentsLoaded(venue, instruments), BookStreamUp(venue, self.symbol))

    def play(self, lines: tuple[RecordedLine, ...]) -> "Played":
        for line in lines:
            self.desk.now_ns = line.at_ns
            if line.via == "ws":
                self.desk.deliver_frame(*self.read(line.text))
                continue
            request = self.desk.requests()[-1]
            self.desk.complete_call(request, self.dialect.decode_snapshot(self.symbol, line.text.encode(), line.at_ns))
        return self

    def read(self, text: str) -> tuple[MarketEvent, ...]:
        return tuple(self.dialect.decode(text.encode(), self.desk.now_ns).data)

    def counted(self, outcome: str) -> float:
        self.desk.advance_ms(1_000)
        return metric_value(self.desk.metrics, "market_book_events_total", venue=self.dialect.venue, outcome=outcome)

    def top(self) -> str:
        """Write the best ten as the recording's own truth does."""
        bids, asks = (
            ",".join(f'["{plain_decimal(price)}","{plain_decimal(quantity)}"]' for price, quantity in side)
            for side in self.desk.subscriber.top(self.symbol, 10)
        )
        return f'{{"asks":[{asks}],"bids":[{bids}]}}'


def played(dialect: VenueAdapter, recording: Recording) -> Played:
    listing, *lines = recording.lines
    return Played(dialect, listing).play(tuple(lines))


# how a book begins


def test_the_buffer_is_replayed_after_the_snapshot() -> None:
    desk = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE)).with_instruments(ONE)
    (request,) = desk.requests(desk.deliver_update(8, 9, "98x9"))
    for previous, final, level in [(9, 10, "99x10"), (10, 12, "98x12"), (12, 13, "97x0")]:
        assert published_bodies(desk.deliver_update(previous, final, level)) == []
    desk.complete_call(request, desk.depth_snapshot(9))
    assert (desk.subscriber.book_ids[ONE], desk.subscriber.top(ONE)[0]) == (13, levels("99x10", "98x12", "96x1"))


@pytest.mark.parametrize("is_buffered", [True, False])
def test_the_first_event_after_the_snapshot_must_reach_it(is_buffered: bool) -> None:
    desk = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE)).with_instruments(ONE)
    (request,) = desk.requests(desk.deliver_update(8, 9) if not is_buffered else desk.deliver_update(12, 13, "99x7"))
    effects = desk.complete_call(request, desk.depth_snapshot(10))
    if not is_buffered:
        effects = [*effects, *desk.deliver_update(12, 13, "99x7")]
    assert not desk.subscriber.is_synced(ONE)
    shown = [one for one in published_bodies(effects) if isinstance(one, BookSnapshot | BookDelta)]
    assert all(one.book_id == 10 for one in shown)
    (again,) = desk.requests(effects)
    desk.complete_call(again, desk.depth_snapshot(12))
    assert (desk.subscriber.book_ids[ONE], desk.subscriber.top(ONE, 1)[0]) == (13, levels("99x7"))


def test_the_levels_of_the_snapshot_reach_whoever_hears() -> None:
    desk = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE, levels_published=4)).with_instruments(ONE)
    (request,) = desk.requests(desk.deliver_update(9, 10))
    (snapshot, *_) = published_bodies(desk.complete_call(request, desk.depth_snapshot(10)), BOOKS)
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.bids, len(snapshot.asks)) == (levels("99x1", "98x1", "97x1", "96x1"), 4)


# Binance USD-M


def test_usdm_chains_by_its_own_previous_id_and_not_by_plus_one() -> None:
    recording = binance_um()
    firsts = [json.loads(line.text)["data"] for line in recording.lines if '"depthUpdate"' in line.text]
    assert any(one["U"] != before["u"] + 1 for before, one in pairwise(firsts))
    this = played(usdm(), recording)
    assert (this.counted("gaps"), this.counted("applied")) == (0, recording.applied)
    assert this.desk.subscriber.is_synced(this.symbol)
    assert this.top() == recording.expected_tops[max(recording.expected_tops)]


def test_usdm_streams_are_asked_for_on_the_routes_where_they_flow() -> None:
    dialect = usdm()
    instruments = dialect.decode_instruments([binance_um().lines[0].text.encode()])
    dialect.set_instruments(InstrumentRegistry(instruments))
    routes = {
        line.url.split("/")[3]: {topic.name for topic in line.topics}
        for line in dialect.plan_connections([instruments[0].symbol])
    }
    assert routes == {
        "public": {"btcusdt@depth@100ms", "btcusdt@bookTicker"},
        "market": {"btcusdt@aggTrade"},
    }


# ranges


def test_events_are_placed_by_their_range_and_one_without_levels_counts() -> None:
    desk = OrderBookHarness(venue_book_settings(SPOT_SEQUENCE_RULE)).with_instruments(ONE).with_synced_books(ONE)
    desk.deliver_update(10, 14, "99x4")
    # The same stream cut differently: what is old in it changes nothing, what is new is taken.
    assert published_bodies(desk.deliver_update(12, 14, "99x3")) == []
    desk.deliver_update(13, 16, "99x6")
    desk.deliver_update(16, 20)
    desk.deliver_update(20, 21, "99x7")
    assert (desk.subscriber.book_ids[ONE], desk.subscriber.top(ONE, 1)[0], desk.subscriber.gaps) == (
        21,
        levels("99x7"),
        [],
    )


# names and units


def test_contracts_become_coins_on_every_way_and_an_unlisted_one_is_never_guessed() -> None:
    recording = okx()
    this = played(of_okx(), recording)
    (first, *_) = [one for one in published_bodies(this.desk.effects, BOOKS) if isinstance(one, BookSnapshot)]
    frame = next(json.loads(line.text) for line in recording.lines if '"snapshot"' in line.text)
    contracts = Decimal(frame["data"][0]["bids"][0][1])
    assert first.bids[0][1] == contracts * Decimal("0.01")
    for text, size in ((TRADE, "size"), (BEST, "bid_size")):
        (datum,) = this.read(text % "BTC-USDT-SWAP")
        assert getattr(datum, size) == Decimal("0.07")
        (stranger,) = this.read(text % "ETH-USDT-SWAP")
        assert isinstance(stranger, DecodeIssue)
        assert stranger.kind is IssueKind.UNLISTED


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
    dialect = spot()
    row = {"symbol": native, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": []}
    (found,) = dialect.decode_instruments([json.dumps({"symbols": [row]}).encode()])
    assert (found.symbol, found.venue_symbol) == (symbol, native)
    dialect.set_instruments(InstrumentRegistry([found]))
    frame = f'{{"e":"depthUpdate","E":1,"s":"{native}","U":1,"u":2,"b":[["1","2"]],"a":[]}}'
    stream = f"{native.lower()}@depth@100ms"
    (change,) = dialect.decode(f'{{"stream":"{stream}","data":{frame}}}'.encode(), 1).data
    assert isinstance(change, DepthUpdate)
    assert change.symbol == symbol


@pytest.mark.parametrize(
    ("dialect", "recording", "others"),
    [
        (spot, binance_spot, ()),
        (usdm, binance_um, ()),
        (of_okx, okx, (TRADE % "BTC-USDT-SWAP", BEST % "BTC-USDT-SWAP")),
    ],
)
def test_books_quotes_and_trades_share_one_name(dialect: type, recording: type, others: tuple[str, ...]) -> None:
    this = played(dialect(), recording())
    this.desk.deliver_frame(*(datum for text in others for datum in this.read(text)))
    named: dict[type, set[Symbol]] = {}
    for body in published_bodies(this.desk.effects):
        if isinstance(body, Quote | Trade | BookSnapshot | BookDelta | SymbolHealth):
            named.setdefault(type(body), set()).add(body.symbol)
    assert set(named) == {Quote, Trade, BookSnapshot, BookDelta, SymbolHealth}
    assert set().union(*named.values()) == {this.symbol}
    assert this.symbol.startswith(f"{this.dialect.venue}:")


# OKX


def test_an_okx_gap_ends_one_book_and_keep_alive_reset_and_snapshot_are_none() -> None:
    desk = OrderBookHarness(venue_book_settings(OkxSequenceRule(), pushes_snapshot=True)).with_instruments()
    for symbol in (ONE, TWO):
        desk.deliver_frame(desk.depth_snapshot(100, symbol=symbol, is_pushed=True))
    desk.deliver_update(100, 100)
    desk.deliver_update(100, 7, "99x2")
    desk.deliver_update(7, 8, "99x3")
    desk.deliver_frame(desk.depth_snapshot(50, is_pushed=True))
    desk.deliver_update(50, 51, "99x4")
    assert (desk.subscriber.is_synced(ONE), desk.subscriber.gaps, desk.requests()) == (True, [], [])
    effects = desk.deliver_update(60, 61, "99x5")
    assert [type(one) for one in published_bodies(effects, BOOKS)] == [BookGap, SymbolHealth]
    assert published_states(effects) == [(ONE, BookState.GAP)]
    assert desk.requests(effects) == [Resubscribe(VENUE, ONE, desk.requests(effects)[0].epoch)]
    assert published_bodies(desk.deliver_update(100, 101, "99x9", symbol=TWO), BOOKS) != []
    desk.deliver_frame(desk.depth_snapshot(70, is_pushed=True))
    assert (desk.subscriber.is_synced(ONE), desk.subscriber.book_ids) == (True, {ONE: 70, TWO: 101})


# numbers


def test_every_digit_of_a_price_and_quantity_survives() -> None:
    desk = OrderBookHarness().with_instruments(ONE).with_synced_books(ONE)
    price, quantity = "99.12345678901234567891", "0.10000000000000000003"
    desk.deliver_update(10, 11, f"{price}x{quantity}")
    ((shown, size),) = desk.subscriber.top(ONE, 1)[0]
    assert (type(shown), type(size)) == (Decimal, Decimal)
    assert (str(shown), str(size)) == (price, quantity)
    # Prices that one float would not tell apart are two.
    desk.deliver_update(11, 12, "99.12345678901234567892x5")
    assert len({level for level, _ in desk.subscriber.top(ONE)[0]}) == 3


def test_numbers_that_a_venue_sends_as_json_numbers_lose_nothing() -> None:
    recording = deribit()
    this = played(of_deribit(), recording)
    data = {"type": "change", "timestamp": 1767225700000, "prev_change_id": this.desk.subscriber.book_ids[this.symbol]}
    data |= {"instrument_name": "BTC-PERPETUAL", "change_id": 10**15}
    head = json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": CHANNEL, "data": data}})
    tiny = '"bids":[["new",100.00000000000000001,5e-05]],"asks":[]'
    (change,) = this.read(head[:-3] + "," + tiny + "}}}")
    assert isinstance(change, DepthUpdate)
    (level,) = change.bids
    assert [Decimal(text) for text in level[:2]] == [Decimal("100.00000000000000001"), Decimal("0.00005")]


CHANNEL: Final = "book.BTC-PERPETUAL.100ms"


# no venue in the engine


def words(path: Path) -> Iterator[str]:
    """Give the names and texts of a module's code, without its docstrings."""
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


# counting


def test_a_frame_of_many_events_counts_once_and_each_event_once() -> None:
    desk = OrderBookHarness().with_instruments().with_synced_books()
    frames = reading_frames(desk)
    desk.deliver_frame(
        desk.depth_update(10, 11, "99x2"),
        desk.depth_update(11, 12, "99x3"),
        desk.depth_update(10, 11, "99x4", symbol=TWO),
    )
    assert reading_frames(desk) == frames + 1
    counted = metric_value(desk.metrics, "market_book_events_total", venue=VENUE, outcome="applied")
    assert counted == 3


def reading_frames(desk: OrderBookHarness) -> float:
    desk.advance_ms(1_000)
    return metric_value(desk.metrics, "market_frames_total", venue=VENUE)
