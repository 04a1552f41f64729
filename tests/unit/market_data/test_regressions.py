"""One test for each defect that a review found in an earlier collector; the table says which proves what.

Numbers are those of the review. Where a socket, a file or a thread is needed, the test lies beside the real ones.
"""

import ast
import json
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from components.contracts.market import BookDelta, BookSnapshot, BookState, Gap, Quote, SymbolHealth, Trade
from components.contracts.topics import BOOKS
from components.contracts.values import Symbol
from components.market_data.core.changes import DepthChange
from components.market_data.core.feed import (
    BookOpened,
    Data,
    LineOpened,
    Listed,
    Odd,
    Oddity,
    Resubscribe,
)
from components.market_data.core.instruments import Registry
from components.market_data.venues.binance.dialect import BinanceDialect, BinanceUmDialect
from components.market_data.venues.binance.rule import SPOT_RULE
from components.market_data.venues.binance.settings import BinanceSettings
from components.market_data.venues.deribit.dialect import DeribitDialect
from components.market_data.venues.deribit.settings import DeribitSettings
from components.market_data.venues.dialect import Dialect
from components.market_data.venues.okx.dialect import OkxDialect
from components.market_data.venues.okx.rule import OkxRule
from components.market_data.venues.okx.settings import OkxSettings
from tests.support.book_desks import ONE, TWO, VENUE, Desk, levels, said, states, terms
from tests.support.hand_made_books import shortest
from tests.support.project import ROOT
from tests.support.readings import reading
from tests.support.recordings import Line, Recording, binance_spot, binance_um, deribit, okx

IO: Final = "tests/integration/test_regressions_io.py"
HERE: Final = "tests/unit/market_data/test_regressions.py"
PROVEN_BY: Final = {
    1: (HERE, "test_the_buffer_is_replayed_after_the_snapshot"),
    2: (HERE, "test_the_first_event_after_the_snapshot_must_reach_it"),
    3: (HERE, "test_usdm_chains_by_its_own_previous_id_and_not_by_plus_one"),
    4: (HERE, "test_usdm_streams_are_asked_for_on_the_routes_where_they_flow"),
    5: (HERE, "test_the_levels_of_the_snapshot_reach_whoever_hears"),
    6: (IO, "test_the_socket_is_read_while_an_image_is_fetched"),
    7: (HERE, "test_events_are_placed_by_their_range_and_one_without_levels_counts"),
    8: (HERE, "test_contracts_become_coins_on_every_way_and_an_unlisted_one_is_never_guessed"),
    9: (HERE, "test_an_okx_gap_ends_one_book_and_keep_alive_reset_and_snapshot_are_none"),
    11: (HERE, "test_symbols_come_from_the_venues_metadata_and_not_from_suffixes"),
    12: (HERE, "test_every_digit_of_a_price_and_quantity_survives"),
    13: (HERE, "test_books_quotes_and_trades_share_one_name"),
    14: (HERE, "test_neither_service_nor_core_knows_a_venue"),
    15: (IO, "test_an_adapters_bug_ends_neither_its_venue_for_good_nor_another"),
    16: (IO, "test_a_stuck_disk_holds_up_no_frame_and_the_end_writes_all_into_files_of_bounded_size"),
    17: (IO, "test_each_frame_is_read_once_and_travels_on_as_typed_structs"),
    18: (IO, "test_a_slow_venue_stalls_no_other"),
    19: (HERE, "test_a_frame_of_many_events_counts_once_and_each_event_once"),
}
REQUIRED: Final = {*range(1, 7), 8, 9, *range(11, 18), 19}
VENUES: Final = ("binance", "okx", "deribit", "alpaca")


def spot() -> Dialect:
    return BinanceDialect("wss://stream.example", "https://rest.example", BinanceSettings())


def usdm() -> Dialect:
    return BinanceUmDialect("wss://stream.example", "https://rest.example", BinanceSettings())


def of_okx() -> Dialect:
    return OkxDialect("wss://stream.example", "https://rest.example", OkxSettings())


def of_deribit() -> Dialect:
    return DeribitDialect("wss://stream.example", "https://rest.example", DeribitSettings(), None)


class Played:
    """A recording that a dialect reads, the service hears, and a hearer follows."""

    def __init__(self, dialect: Dialect, listing: Line) -> None:
        instruments = tuple(dialect.read_instruments([listing.text.encode()]))
        dialect.learn(Registry(instruments))
        self.dialect, self.symbol, venue = dialect, instruments[0].symbol, dialect.venue
        of_venue = terms(
            dialect.rule, venue=venue, symbols=(self.symbol,), pushes_image=dialect.pushes_image, levels_published=10
        )
        self.desk = Desk(of_venue)
        self.desk.now_ns = listing.at_ns
        self.desk.tell(LineOpened(venue), Listed(venue, instruments), BookOpened(venue, self.symbol))

    def play(self, lines: tuple[Line, ...]) -> "Played":
        for line in lines:
            self.desk.now_ns = line.at_ns
            if line.via == "ws":
                self.desk.frame(*self.read(line.text))
                continue
            request = self.desk.asked()[-1]
            self.desk.answer(request, self.dialect.read_image(self.symbol, line.text.encode(), line.at_ns))
        return self

    def read(self, text: str) -> tuple[Data, ...]:
        return tuple(self.dialect.read(text.encode(), self.desk.now_ns).data)

    def counted(self, outcome: str) -> float:
        self.desk.wait(1_000)
        return reading(self.desk.metrics, "market_book_events_total", venue=self.dialect.venue, outcome=outcome)

    def top(self) -> str:
        """Write the best ten as the recording's own truth does."""
        bids, asks = (
            ",".join(f'["{shortest(price)}","{shortest(quantity)}"]' for price, quantity in side)
            for side in self.desk.hearer.top(self.symbol, 10)
        )
        return f'{{"asks":[{asks}],"bids":[{bids}]}}'


def played(dialect: Dialect, recording: Recording) -> Played:
    listing, *lines = recording.lines
    return Played(dialect, listing).play(tuple(lines))


def test_every_required_defect_has_its_test() -> None:
    assert set(PROVEN_BY) >= REQUIRED
    for path, name in PROVEN_BY.values():
        tree = ast.parse((ROOT / path).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path} lacks {name}"


# 1, 2, 5: how a book begins


def test_the_buffer_is_replayed_after_the_snapshot() -> None:
    desk = Desk(terms(SPOT_RULE)).listed(ONE)
    (request,) = desk.asked(desk.change(8, 9, "98x9"))
    for previous, final, level in [(9, 10, "99x10"), (10, 12, "98x12"), (12, 13, "97x0")]:
        assert said(desk.change(previous, final, level)) == []
    desk.answer(request, desk.image(9))
    assert (desk.hearer.ids[ONE], desk.hearer.top(ONE)[0]) == (13, levels("99x10", "98x12", "96x1"))


@pytest.mark.parametrize("is_buffered", [True, False])
def test_the_first_event_after_the_snapshot_must_reach_it(is_buffered: bool) -> None:
    desk = Desk(terms(SPOT_RULE)).listed(ONE)
    (request,) = desk.asked(desk.change(8, 9) if not is_buffered else desk.change(12, 13, "99x7"))
    effects = desk.answer(request, desk.image(10))
    if not is_buffered:
        effects = [*effects, *desk.change(12, 13, "99x7")]
    assert not desk.hearer.is_synced(ONE)
    shown = [one for one in said(effects) if isinstance(one, BookSnapshot | BookDelta)]
    assert all(one.book_id == 10 for one in shown)
    (again,) = desk.asked(effects)
    desk.answer(again, desk.image(12))
    assert (desk.hearer.ids[ONE], desk.hearer.top(ONE, 1)[0]) == (13, levels("99x7"))


def test_the_levels_of_the_snapshot_reach_whoever_hears() -> None:
    desk = Desk(terms(SPOT_RULE, levels_published=4)).listed(ONE)
    (request,) = desk.asked(desk.change(9, 10))
    (snapshot, *_) = said(desk.answer(request, desk.image(10)), BOOKS)
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.bids, len(snapshot.asks)) == (levels("99x1", "98x1", "97x1", "96x1"), 4)


# 3, 4: Binance USD-M


def test_usdm_chains_by_its_own_previous_id_and_not_by_plus_one() -> None:
    recording = binance_um()
    firsts = [json.loads(line.text)["data"] for line in recording.lines if '"depthUpdate"' in line.text]
    assert any(one["U"] != before["u"] + 1 for before, one in pairwise(firsts))
    this = played(usdm(), recording)
    assert (this.counted("gaps"), this.counted("applied")) == (0, recording.applied)
    assert this.desk.hearer.is_synced(this.symbol)
    assert this.top() == recording.truth[max(recording.truth)]


def test_usdm_streams_are_asked_for_on_the_routes_where_they_flow() -> None:
    dialect = usdm()
    instruments = dialect.read_instruments([binance_um().lines[0].text.encode()])
    dialect.learn(Registry(instruments))
    routes = {
        line.url.split("/")[3]: {topic.name for topic in line.topics} for line in dialect.plan([instruments[0].symbol])
    }
    assert routes == {
        "public": {"btcusdt@depth@100ms", "btcusdt@bookTicker"},
        "market": {"btcusdt@aggTrade"},
    }


# 7: ranges


def test_events_are_placed_by_their_range_and_one_without_levels_counts() -> None:
    desk = Desk(terms(SPOT_RULE)).listed(ONE).synced(ONE)
    desk.change(10, 14, "99x4")
    # The same stream cut differently: what is old in it changes nothing, what is new is taken.
    assert said(desk.change(12, 14, "99x3")) == []
    desk.change(13, 16, "99x6")
    desk.change(16, 20)
    desk.change(20, 21, "99x7")
    assert (desk.hearer.ids[ONE], desk.hearer.top(ONE, 1)[0], desk.hearer.gaps) == (21, levels("99x7"), [])


# 8, 11, 13: names and units


def test_contracts_become_coins_on_every_way_and_an_unlisted_one_is_never_guessed() -> None:
    recording = okx()
    this = played(of_okx(), recording)
    (first, *_) = [one for one in said(this.desk.every, BOOKS) if isinstance(one, BookSnapshot)]
    frame = next(json.loads(line.text) for line in recording.lines if '"snapshot"' in line.text)
    contracts = Decimal(frame["data"][0]["bids"][0][1])
    assert first.bids[0][1] == contracts * Decimal("0.01")
    for text, size in ((TRADE, "size"), (BEST, "bid_size")):
        (datum,) = this.read(text % "BTC-USDT-SWAP")
        assert getattr(datum, size) == Decimal("0.07")
        (stranger,) = this.read(text % "ETH-USDT-SWAP")
        assert isinstance(stranger, Odd)
        assert stranger.kind is Oddity.UNLISTED


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
    (found,) = dialect.read_instruments([json.dumps({"symbols": [row]}).encode()])
    assert (found.symbol, found.native) == (symbol, native)
    dialect.learn(Registry([found]))
    frame = f'{{"e":"depthUpdate","E":1,"s":"{native}","U":1,"u":2,"b":[["1","2"]],"a":[]}}'
    stream = f"{native.lower()}@depth@100ms"
    (change,) = dialect.read(f'{{"stream":"{stream}","data":{frame}}}'.encode(), 1).data
    assert isinstance(change, DepthChange)
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
    this.desk.frame(*(datum for text in others for datum in this.read(text)))
    named: dict[type, set[Symbol]] = {}
    for body in said(this.desk.every):
        if isinstance(body, Quote | Trade | BookSnapshot | BookDelta | SymbolHealth):
            named.setdefault(type(body), set()).add(body.symbol)
    assert set(named) == {Quote, Trade, BookSnapshot, BookDelta, SymbolHealth}
    assert set().union(*named.values()) == {this.symbol}
    assert this.symbol.startswith(f"{this.dialect.venue}:")


# 9: OKX


def test_an_okx_gap_ends_one_book_and_keep_alive_reset_and_snapshot_are_none() -> None:
    desk = Desk(terms(OkxRule(), pushes_image=True)).listed()
    for symbol in (ONE, TWO):
        desk.frame(desk.image(100, symbol=symbol, is_pushed=True))
    desk.change(100, 100)
    desk.change(100, 7, "99x2")
    desk.change(7, 8, "99x3")
    desk.frame(desk.image(50, is_pushed=True))
    desk.change(50, 51, "99x4")
    assert (desk.hearer.is_synced(ONE), desk.hearer.gaps, desk.asked()) == (True, [], [])
    effects = desk.change(60, 61, "99x5")
    assert [type(one) for one in said(effects, BOOKS)] == [Gap, SymbolHealth]
    assert states(effects) == [(ONE, BookState.GAP)]
    assert desk.asked(effects) == [Resubscribe(VENUE, ONE, desk.asked(effects)[0].epoch)]
    assert said(desk.change(100, 101, "99x9", symbol=TWO), BOOKS) != []
    desk.frame(desk.image(70, is_pushed=True))
    assert (desk.hearer.is_synced(ONE), desk.hearer.ids) == (True, {ONE: 70, TWO: 101})


# 12: numbers


def test_every_digit_of_a_price_and_quantity_survives() -> None:
    desk = Desk().listed(ONE).synced(ONE)
    price, quantity = "99.12345678901234567891", "0.10000000000000000003"
    desk.change(10, 11, f"{price}x{quantity}")
    ((shown, size),) = desk.hearer.top(ONE, 1)[0]
    assert (type(shown), type(size)) == (Decimal, Decimal)
    assert (str(shown), str(size)) == (price, quantity)
    # Prices that one float would not tell apart are two.
    desk.change(11, 12, "99.12345678901234567892x5")
    assert len({level for level, _ in desk.hearer.top(ONE)[0]}) == 3


def test_numbers_that_a_venue_sends_as_json_numbers_lose_nothing() -> None:
    recording = deribit()
    this = played(of_deribit(), recording)
    data = {"type": "change", "timestamp": 1767225700000, "prev_change_id": this.desk.hearer.ids[this.symbol]}
    data |= {"instrument_name": "BTC-PERPETUAL", "change_id": 10**15}
    head = json.dumps({"jsonrpc": "2.0", "method": "subscription", "params": {"channel": CHANNEL, "data": data}})
    tiny = '"bids":[["new",100.00000000000000001,5e-05]],"asks":[]'
    (change,) = this.read(head[:-3] + "," + tiny + "}}}")
    assert isinstance(change, DepthChange)
    (level,) = change.bids
    assert [Decimal(text) for text in level[:2]] == [Decimal("100.00000000000000001"), Decimal("0.00005")]


CHANNEL: Final = "book.BTC-PERPETUAL.100ms"


# 14: no venue in the engine


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


# 19: counting


def test_a_frame_of_many_events_counts_once_and_each_event_once() -> None:
    desk = Desk().listed().synced()
    frames = reading_frames(desk)
    desk.frame(desk.changed(10, 11, "99x2"), desk.changed(11, 12, "99x3"), desk.changed(10, 11, "99x4", symbol=TWO))
    assert reading_frames(desk) == frames + 1
    counted = reading(desk.metrics, "market_book_events_total", venue=VENUE, outcome="applied")
    assert counted == 3


def reading_frames(desk: Desk) -> float:
    desk.wait(1_000)
    return reading(desk.metrics, "market_frames_total", venue=VENUE)
