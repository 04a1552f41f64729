"""Bad input from a hostile venue over real sockets: each kind is counted and affects its own book, which recovers."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from decimal import Decimal
from functools import partial
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

import pytest
import uvloop
from typing_extensions import override
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from components.contracts.market import BookState, SymbolHealth
from components.contracts.streams import BOOKS
from components.contracts.values import Symbol
from components.market_data.config import BinanceConfig
from components.market_data.core.book.synchronizer import SyncLimits
from components.market_data.service.market_data import MarketDataService
from components.market_data.service.order_books import OrderBookService
from components.market_data.venues.binance.adapter import BinanceSpotAdapter
from components.market_data.venues.binance.requests import BinanceSettings
from components.market_data.venues.feeds import VenueFeed
from components.runtime.clock import SystemClock
from components.runtime.metrics import Metrics
from components.runtime.service import CallVenue, Effects, LogEvent, Publish, VenueCallCompleted, VenueEvent
from tests.support.eventually import eventually_async
from tests.support.fake_venue import FakeVenue, HttpReply, fake_venue_config
from tests.support.order_book_harness import BookSubscriber, venue_book_settings

pytestmark = pytest.mark.integration

SICK, WELL, UNLISTED = (Symbol(f"BINANCE:{base}-USDT") for base in ("AAA", "BBB", "ZZZ"))
NATIVES: Final = {"AAAUSDT": SICK, "BBBUSDT": WELL}
UPDATE_INTERVAL_S: Final = 0.01
GIANT: Final = 16 * 1024 * 1024
MALFORMED, UNKNOWN, NOT_LISTED = "malformed", "unknown", "unlisted"


class HostileVenue(FakeVenue):
    """A spot market of two pairs: ids go up by one, the best bid's quantity is the id; bad input is injected."""

    def __init__(self) -> None:
        super().__init__(send_updates, natives=())
        self.ids = {"AAAUSDT": 1_000_000, "BBBUSDT": 500}
        self.injected: list[str] = []
        self.silent: set[str] = set()
        self.refusals: list[HttpReply] = []
        """Responses in place of the affected book's snapshot."""
        rows = [{"symbol": native, "status": "TRADING", "baseAsset": native[:3]} for native in self.ids]
        listing = {"symbols": [row | {"quoteAsset": "USDT", "filters": []} for row in rows]}
        self.replies = {"/api/v3/exchangeInfo": [HttpReply(json.dumps(listing).encode())]}

    def snapshot(self, native: str) -> bytes:
        """Return a snapshot of a book."""
        final = self.ids[native]
        bids, asks = [["99", str(final)], ["98", "1"]], [["101", "1"]]
        return json.dumps({"lastUpdateId": final, "bids": bids, "asks": asks}).encode()

    def next(self, native: str) -> str:
        """Return a book's next update."""
        self.ids[native] += 1
        final = self.ids[native]
        data: dict[str, Any] = {"e": "depthUpdate", "E": 1, "s": native, "U": final, "u": final}
        data |= {"b": [["99", str(final)]], "a": []}
        return json.dumps({"stream": f"{native.lower()}@depth@100ms", "data": data})

    @override
    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        parts = urlsplit(request.path)
        if parts.path == "/api/v3/depth":
            (native,) = parse_qs(parts.query)["symbol"]
            refused = native == "AAAUSDT" and self.refusals
            self.replies[parts.path] = [self.refusals.pop(0) if refused else HttpReply(self.snapshot(native))]
        return super()._answer(connection, request)


async def send_updates(venue: FakeVenue, connection: ServerConnection) -> None:
    """Confirm every subscription, and in each interval send an update of each book, after what was injected."""
    assert isinstance(venue, HostileVenue)
    natives: list[str] = []
    while True:
        try:
            message = json.loads(await asyncio.wait_for(connection.recv(), UPDATE_INTERVAL_S))
        except TimeoutError:
            message = None
        if message is not None:
            venue.received.append(message)
            await connection.send(json.dumps({"result": None, "id": message["id"]}))
            request = [name.partition("@")[0].upper() for name in message["params"]]
            natives = [one for one in natives if one not in request]
            natives += request if message["method"] == "SUBSCRIBE" else []
        waiting, venue.injected = venue.injected, []
        for text in [*waiting, *(venue.next(one) for one in natives if one not in venue.silent)]:
            await connection.send(text)


class Live:
    """The feed and the service in one event loop, and a subscriber that knows what each book must be."""

    def __init__(self, venue: HostileVenue, *symbols: Symbol, **changes: Any) -> None:
        self.clock, self.metrics = SystemClock(), Metrics("market_data", "test")
        urls = {"stream_url": f"ws://127.0.0.1:{venue.port}", "symbols": symbols or (SICK, WELL)}
        plain = fake_venue_config(venue).model_dump() | {
            "quotes": False,
            "trades": False,
            "first_data_timeout_ms": 5_000,
        }
        table = BinanceConfig.model_validate(plain | {"depth_speed_ms": 100, "snapshot_depth": 100} | urls | changes)
        settings = BinanceSettings(depth_speed_ms=100, snapshot_depth=100, quotes=False, trades=False)
        adapter = BinanceSpotAdapter(table.stream_url, table.rest_url, settings)
        self.feed = VenueFeed(adapter, table, self.clock, lambda: 0.2, self.metrics)
        listened = tuple(Symbol(one) for one in table.symbols)
        limits = SyncLimits(snapshot_timeout_ms=2_000, retry_ms_first=50)
        of_venue = venue_book_settings(adapter.sequence_rule, venue=adapter.venue, symbols=listened, sync_limits=limits)
        self.service = MarketDataService(None, OrderBookService([of_venue], self.metrics, lambda: 0.2))
        self.subscriber = BookSubscriber()
        self.trust: dict[Symbol, list[tuple[BookState, str]]] = defaultdict(list)
        self.notes: list[LogEvent] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._carry_out(self.service.on_start(self.clock.now_ns()))
        for part in (self.feed.run(self._receive), self._tick()):
            self._begin(part)
        return self

    async def __aexit__(self, *_: object) -> None:
        over = [task for task in self._tasks if task.done()]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.feed.close()
        for task in over:
            task.result()

    def counted(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of one metric that have these labels."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        rows = [row for row in self.metrics.exposition().decode().splitlines() if row.startswith(f"xtrader_{name}")]
        return sum(float(row.rpartition(" ")[2]) for row in rows if all(one in row for one in wanted))

    async def until(self, holds: Callable[[], Any]) -> None:
        async def probe() -> bool:
            assert not any(task.done() and task.exception() for task in self._tasks)
            return bool(holds())

        await eventually_async(probe, within_s=10)

    async def synced(self, *symbols: Symbol) -> None:
        """Wait until books are in sync and have advanced."""
        for symbol in symbols or (SICK, WELL):
            await self.until(partial(self.subscriber.is_synced, symbol))
            await self.until(partial(self._is_beyond, symbol, self.subscriber.book_ids[symbol]))

    def _is_beyond(self, symbol: Symbol, book_id: int) -> bool:
        return self.subscriber.book_ids[symbol] > book_id

    def lost(self, symbol: Symbol = SICK) -> list[str]:
        """Return why a book went out of sync."""
        return [reason for state, reason in self.trust[symbol] if state is not BookState.SYNCED]

    def _receive(self, body: object) -> None:
        self._carry_out(self.service.on_message(VenueEvent(body), self.clock.now_ns()))

    async def _tick(self) -> None:
        never = asyncio.get_running_loop().create_future()
        while True:
            await asyncio.wait([never], timeout=UPDATE_INTERVAL_S)
            self._carry_out(self.service.on_tick(self.clock.now_ns()))

    async def _answer(self, request: Any) -> None:
        answer = await self.feed.call(request)
        self._carry_out(self.service.on_message(VenueCallCompleted(request, answer), self.clock.now_ns()))

    def _begin(self, part: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.create_task(part))

    def _carry_out(self, effects: Effects) -> None:
        for effect in effects:
            match effect:
                case CallVenue(request):
                    self._begin(self._answer(request))
                case LogEvent():
                    self.notes.append(effect)
                case Publish(stream, body) if stream is BOOKS:
                    self._check(body)
                case _:
                    pass

    def _check(self, body: Any) -> None:
        self.subscriber.receive(body)
        symbol = body.symbol
        if isinstance(body, SymbolHealth):
            self.trust[symbol].append((body.state, body.reason))
        if self.subscriber.is_synced(symbol):
            bids = dict(self.subscriber.books[symbol][0])
            assert bids[Decimal(99)] == self.subscriber.book_ids[symbol]


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(test, 30))


Scene = Callable[[HostileVenue, Live], Awaitable[None]]


def run_scenario(scene: Scene, *symbols: Symbol, **changes: Any) -> None:
    """Run a scenario on books in sync; whatever it is, the other book is not affected."""

    async def run() -> None:
        async with HostileVenue() as venue, Live(venue, *symbols, **changes) as live:
            await live.synced(*(symbols or ()))
            live.trust.clear()
            await scene(venue, live)
            await live.synced(WELL)
            assert live.trust[WELL] == []
            assert len(venue.connections) == 1

    on_a_loop(run())


def changed_update(venue: HostileVenue, **other: Any) -> str:
    """Return the affected book's next update with a changed field."""
    text = json.loads(venue.next("AAAUSDT"))
    text["data"] |= other
    text["data"] = {key: value for key, value in text["data"].items() if value is not None}
    return json.dumps(text)


@pytest.mark.parametrize("cut", [0.5, 0.9])
def test_corrupt_json_is_counted_and_resyncs_only_its_own_book(cut: float) -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        text = changed_update(venue)
        venue.injected.append(text[: int(len(text) * cut)])
        await live.until(live.lost)
        await live.synced(SICK)
        assert live.counted("market_decode_issues_total", kind=MALFORMED) == 1

    run_scenario(scene)


NONSENSE: Final = ["", "{", "\x00\x00", "[" * 20_000, "null", "1e999999", '{"e":[]}', '"' + "x" * 100_000]


@pytest.mark.parametrize("text", NONSENSE)
def test_nonsense_that_names_no_book_hurts_none(text: str) -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.injected.append(text)
        await live.until(lambda: live.counted("market_decode_issues_total") == 1)
        await live.synced(SICK)
        assert live.trust[SICK] == []

    run_scenario(scene)


def test_unknown_fields_are_ignored() -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.injected.append(changed_update(venue, zz={"deep": [1, None]}, st=1))
        at = venue.ids["AAAUSDT"]
        await live.until(lambda: live.subscriber.book_ids[SICK] >= at)
        assert (live.trust[SICK], live.counted("market_decode_issues_total")) == ([], 0)

    run_scenario(scene)


@pytest.mark.parametrize("field", ["u", "U", "b", "a", "s"])
def test_a_missing_field_is_counted_and_the_book_restarts(field: str) -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.injected.append(changed_update(venue, **{field: None}))
        await live.until(live.lost)
        await live.synced(SICK)
        assert live.counted("market_decode_issues_total", kind=MALFORMED) == 1

    run_scenario(scene)


def test_exponents_are_numbers_and_exact() -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        text = changed_update(venue)
        at = venue.ids["AAAUSDT"]
        venue.injected.append(text.replace('[["99"', '[["9.7e1", "5E-5"], ["99"'))
        await live.until(lambda: live.subscriber.book_ids[SICK] >= at)
        assert live.subscriber.books[SICK][0][Decimal(97)] == Decimal("0.00005")
        assert live.trust[SICK] == []

    run_scenario(scene)


@pytest.mark.parametrize("level", [["98", "-1"], ["-98", "1"], ["98", "NaN"], ["0", "1"], ["98", ""]])
def test_a_negative_or_impossible_number_is_counted_and_resyncs_only_its_own_book(level: list[str]) -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.injected.append(changed_update(venue, b=[level]))
        await live.until(live.lost)
        await live.synced(SICK)
        await live.until(lambda: live.counted("market_book_events_total", outcome="malformed") == 1)

    run_scenario(scene)


def test_ids_that_go_backwards_are_noticed_and_a_new_snapshot_is_fetched() -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.ids["AAAUSDT"] = 10_000
        await live.until(live.lost)
        assert "ids were reset" in live.lost()[0]
        await live.synced(SICK)
        assert live.subscriber.book_ids[SICK] < 1_000_000
        await live.until(lambda: live.counted("market_book_events_total", outcome="stale") >= 50)

    run_scenario(scene)


def test_a_snapshot_of_another_symbol_is_discarded_and_fetched_again() -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.refusals.append(HttpReply(venue.snapshot("BBBUSDT")))
        venue.ids["AAAUSDT"] += 1
        await live.until(live.lost)
        await live.synced(SICK)
        assert any("ends before update" in reason for reason in live.lost())
        await live.until(lambda: live.counted("market_book_events_total", outcome="snapshots_too_old") == 1)

    run_scenario(scene)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"lastUpdateId":"x","bids":[],"asks":[]}', b'{"code":-1121}'])
def test_a_snapshot_that_cannot_be_decoded_is_counted_and_fetched_again(body: bytes) -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.refusals.append(HttpReply(body))
        venue.ids["AAAUSDT"] += 1
        await live.until(live.lost)
        await live.synced(SICK)
        assert live.counted("venue_requests_total", outcome=MALFORMED) == 1

    run_scenario(scene)


def test_a_subscription_that_is_confirmed_without_data_is_repeated() -> None:
    async def run() -> None:
        async with HostileVenue() as venue:
            venue.silent.add("AAAUSDT")
            async with Live(venue, first_data_timeout_ms=300) as live:
                await live.synced(WELL)
                live.trust.clear()
                await live.until(lambda: live.counted("venue_resubscribes_total") >= 1)
                assert venue.ids["AAAUSDT"] == 1_000_000
                venue.silent.clear()
                await live.synced()
                assert live.trust[WELL] == []

    on_a_loop(run())


def test_a_frame_of_16_mib_is_read_and_counted_and_nothing_else_happens() -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        text = '{"stream":"?","data":{}}'
        venue.injected.append(text + " " * (GIANT - len(text)))
        await live.until(lambda: live.counted("market_decode_issues_total", kind=UNKNOWN) == 1)
        await live.synced(SICK)
        assert live.trust[SICK] == []

    run_scenario(scene)


def test_a_larger_frame_ends_its_connection_and_all_its_books_are_back_soon() -> None:
    async def run() -> None:
        async with HostileVenue() as venue, Live(venue) as live:
            await live.synced()
            venue.injected.append(" " * (GIANT + 1))
            await live.until(lambda: live.lost(SICK) and live.lost(WELL))
            await live.synced()
            assert live.counted("venue_disconnects_total", reason="too_large") == 1
            assert live.counted("market_decode_issues_total", kind="too_large") == 1
            assert len(venue.connections) == 2

    on_a_loop(run())


def test_a_frame_about_an_unlisted_symbol_is_counted() -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.injected.append(changed_update(venue).replace("AAAUSDT", "ZZZUSDT").replace("aaausdt", "zzzusdt"))
        venue.ids["AAAUSDT"] -= 1
        await live.until(lambda: live.counted("market_decode_issues_total", kind=NOT_LISTED) == 1)
        await live.synced(SICK)

    run_scenario(scene)


def test_a_symbol_that_the_venue_does_not_list_is_named_and_the_others_are_received() -> None:
    async def run() -> None:
        async with HostileVenue() as venue, Live(venue, SICK, WELL, UNLISTED) as live:
            await live.synced()
            (note,) = [note for note in live.notes if note.event == "subscription_rejected"]
            assert note.fields["symbol"] == UNLISTED
            assert live.service.unmet(live.clock.now_ns()) == ()

    on_a_loop(run())


@pytest.mark.parametrize("status", [429, 418])
def test_a_venue_that_asks_for_a_pause_gets_one_of_that_length(status: int) -> None:
    async def scene(venue: HostileVenue, live: Live) -> None:
        venue.refusals.append(HttpReply(b"{}", status, Retry_After="1"))
        before = len(venue.http_requests)
        venue.ids["AAAUSDT"] += 1
        await live.until(lambda: len(venue.http_requests) == before + 1)
        refused_ns = live.clock.monotonic_ns()
        await live.until(lambda: len(venue.http_requests) == before + 2)
        assert live.clock.monotonic_ns() - refused_ns >= 900_000_000
        await live.synced(SICK)
        assert live.counted("venue_requests_total", outcome="rate_limited") == 1
        assert live.counted("venue_retry_after_total") == 1

    run_scenario(scene)
