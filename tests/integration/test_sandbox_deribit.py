"""The simulated Deribit as a real client sees it: JSON-RPC over websocket and HTTP on a real port."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from components.sandbox.deribit.instruments import INSTRUMENTS
from components.sandbox.deribit.venue import DeribitVenue
from components.sandbox.simulation.order_flow import IdSpace
from components.sandbox.transport.faults import CryptoFault, CryptoFaultKind
from components.sandbox.transport.http_server import AdminError
from tests.support.crypto_sandbox import CryptoSandbox, crypto_sandbox
from tests.support.crypto_venue_server import CREDENTIALS, Frame, VenueClient, VenueServer, venue_client, venue_server

pytestmark = pytest.mark.integration
SYMBOL = "BTC-PERPETUAL"
RAW, FAST = f"book.{SYMBOL}.raw", f"book.{SYMBOL}.100ms"
KEYS = {"grant_type": "client_credentials", "client_id": CREDENTIALS.key, "client_secret": CREDENTIALS.secret}
NUMBERS = count(1)


def play(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


@asynccontextmanager
async def deribit(scale: float = 1.0) -> AsyncIterator[tuple[VenueServer, VenueClient]]:
    async with (
        venue_server(DeribitVenue, INSTRUMENTS, IdSpace.VENUE_WIDE, scale) as venue,
        venue_client(url(venue)) as one,
    ):
        yield venue, one


def url(venue: VenueServer) -> str:
    return f"{venue.ws_url}/ws/api/v2"


async def call(one: VenueClient, method: str, **params: Any) -> Frame:
    number = next(NUMBERS)
    await one.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    return await one.receive_until(lambda frame: frame.get("id") == number)


async def subscribe(one: VenueClient, *channels: str) -> Frame:
    return await call(one, "public/subscribe", channels=list(channels))


async def receive_data(one: VenueClient) -> Frame:
    frame = await one.receive()
    data: Frame = frame["params"]["data"]
    return data


class Book:
    """An order book kept by the venue's own rules, strict about what each action may find."""

    def __init__(self, snapshot: Frame) -> None:
        assert snapshot["type"] == "snapshot"
        assert "prev_change_id" not in snapshot
        self.bids: dict[Decimal, Decimal] = {}
        self.asks: dict[Decimal, Decimal] = {}
        self._take(snapshot)

    def apply(self, change: Frame) -> None:
        assert change["type"] == "change"
        assert change["prev_change_id"] == self.change_id
        self._take(change)

    def _take(self, frame: Frame) -> None:
        for side, rows in ((self.bids, frame["bids"]), (self.asks, frame["asks"])):
            for action, price, amount in rows:
                assert (price in side) is (action != "new")
                if action == "delete":
                    assert amount == 0
                    del side[price]
                else:
                    side[price] = amount
        self.change_id = frame["change_id"]

    def is_true(self, venue: VenueServer) -> bool:
        bids, asks = venue.venue.flow.book_at(SYMBOL, self.change_id).top(500)
        return (sorted(self.bids.items(), reverse=True), sorted(self.asks.items())) == (bids, asks)


def test_raw_books_are_rejected_without_a_login_and_nothing_is_subscribed() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            refused = await subscribe(one, FAST, RAW)
            assert refused["error"]["code"] == 13778
            assert refused["error"]["message"] == "raw_subscriptions_not_available_for_unauthorized"
            assert venue.venue.stats()["streams"] == []
            assert (await call(one, "private/subscribe", channels=[RAW]))["error"]["code"] == 13009

    play(scenario())


def test_a_raw_book_sends_every_change_by_itself_and_stays_correct() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            assert (await call(one, "public/auth", **KEYS))["result"]["token_type"] == "bearer"
            assert (await call(one, "private/subscribe", channels=[RAW]))["result"] == [RAW]
            book = Book(await receive_data(one))
            for _ in range(60):
                venue.step(SYMBOL)
            while book.change_id < venue.venue.flow.last_id(SYMBOL):
                change = await receive_data(one)
                assert len(change["bids"]) + len(change["asks"]) == 1
                book.apply(change)
                assert book.is_true(venue)

    play(scenario())


def test_a_batched_book_sends_the_action_of_each_level_and_stays_correct() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await subscribe(one, FAST)
            book = Book(await receive_data(one))
            for _ in range(4):
                venue.step(SYMBOL, 60)
                book.apply(await receive_data(one))
                assert book.is_true(venue)

    play(scenario())


def test_a_repeated_subscription_brings_no_second_snapshot_and_a_fresh_one_does() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await subscribe(one, FAST)
            await receive_data(one)
            assert (await subscribe(one, FAST))["result"] == [FAST]
            venue.step(SYMBOL, 5)
            assert (await receive_data(one))["type"] == "change"
            assert (await call(one, "public/unsubscribe", channels=[FAST]))["result"] == [FAST]
            venue.step(SYMBOL, 5)
            await subscribe(one, FAST)
            snapshot = await receive_data(one)
            assert (snapshot["type"], snapshot["change_id"]) == ("snapshot", venue.venue.flow.last_id(SYMBOL))

    play(scenario())


def test_a_book_restarts_when_more_happens_at_once_than_the_history_holds() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await subscribe(one, FAST)
            await receive_data(one)
            venue.step(SYMBOL, 25_000)
            assert Book(await receive_data(one)).is_true(venue)

    play(scenario())


def test_the_result_is_in_the_venues_order_and_leaves_out_what_does_not_exist() -> None:
    async def scenario() -> None:
        async with deribit() as (_, one):
            requested = [FAST, f"trades.{SYMBOL}.100ms", "book.FOO-PERPETUAL.100ms", "nonsense", FAST]
            assert (await subscribe(one, *requested))["result"] == [f"trades.{SYMBOL}.100ms", FAST]

    play(scenario())


@pytest.mark.parametrize("code", ["11050", "-32602"])
def test_an_unknown_channel_can_be_an_error_for_the_whole_request(code: str) -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            venue.venue.set_mode("unknown_channel", code)
            assert (await subscribe(one, FAST, "book.FOO.100ms"))["error"]["code"] == int(code)
            assert venue.venue.stats()["streams"] == []

    play(scenario())


def test_the_ticker_of_a_change_comes_before_its_book_and_agrees_with_it() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await call(one, "public/auth", **KEYS)
            await subscribe(one, RAW, f"ticker.{SYMBOL}.raw")
            first, second = (await one.receive())["params"], (await one.receive())["params"]
            snapshot = next(params["data"] for params in (first, second) if params["channel"] == RAW)
            book = Book(snapshot)
            venue.step(SYMBOL, 20)
            while book.change_id < venue.venue.flow.last_id(SYMBOL):
                ticker, change = (await one.receive())["params"], (await one.receive())["params"]
                assert (ticker["channel"], change["channel"]) == (f"ticker.{SYMBOL}.raw", RAW)
                book.apply(change["data"])
                assert ticker["data"]["best_bid_price"] == max(book.bids)
                assert ticker["data"]["best_ask_amount"] == book.asks[min(book.asks)]
                assert ticker["data"]["timestamp"] == change["data"]["timestamp"]

    play(scenario())


def test_quotes_come_when_the_best_changes() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await subscribe(one, f"quote.{SYMBOL}")
            first = await receive_data(one)
            venue.step(SYMBOL, 100)
            second = await receive_data(one)
            names = ("best_bid_price", "best_bid_amount", "best_ask_price", "best_ask_amount")
            assert [first[name] for name in names] != [second[name] for name in names]

    play(scenario())


@pytest.mark.parametrize("channel", [f"trades.{SYMBOL}.100ms", "trades.future.BTC.100ms", "trades.any.any.100ms"])
def test_trades_come_in_lists_without_holes(channel: str) -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await subscribe(one, channel)
            found: list[int] = []
            for _ in range(2):
                venue.step_until_trade(SYMBOL)
                data = (await one.receive())["params"]["data"]
                assert all(item["instrument_name"] == SYMBOL for item in data)
                found += [item["trade_seq"] for item in data]
            assert found == [1, 2]

    play(scenario())


def test_numbers_are_json_numbers_with_points_and_exponents() -> None:
    async def scenario() -> None:
        async with deribit() as (_, one):
            await one.send({"id": 1, "method": "public/subscribe", "params": {"channels": [FAST]}})
            await one.receive_text()
            assert '["new",9' in (text := await one.receive_text())
            assert ".0]" in text
            await one.send({"id": 2, "method": "public/get_instruments", "params": {"currency": "USDC"}})
            text = await one.receive_text()
            assert '"min_trade_amount":1e-05' in text
            assert '"tick_size":1e-05' in text
            assert '"contract_size":100.0' in text

    play(scenario())


def test_amounts_are_dollars_on_inverse_contracts_and_coins_elsewhere() -> None:
    async def scenario() -> None:
        async with deribit() as (_, one):
            for symbol, lot in ((SYMBOL, Decimal(10)), ("BTC-25DEC26-80000-P", Decimal("0.1"))):
                book = (await call(one, "public/get_order_book", instrument_name=symbol, depth=10))["result"]
                assert all(amount % lot == 0 for _, amount in book["bids"])

    play(scenario())


def test_an_order_book_carries_an_id_of_the_stream() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            venue.step(SYMBOL, 10)
            over_http = (await venue.get("/api/v2/public/get_order_book", instrument_name=SYMBOL, depth="20")).json()
            result = (await call(one, "public/get_order_book", instrument_name=SYMBOL, depth=20))["result"]
            assert result["change_id"] == over_http["result"]["change_id"] == venue.venue.flow.last_id(SYMBOL)
            assert len(result["bids"]) == len(over_http["result"]["asks"]) == 20

    play(scenario())


def test_an_http_reply_can_be_stale_or_fail() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, _):
            venue.step(SYMBOL, 10)
            venue.arm(kind="rest_stale", venue="deribit", symbol=SYMBOL, count=4)
            stale = (await venue.get("/api/v2/public/get_order_book", instrument_name=SYMBOL)).json()["result"]
            assert stale["change_id"] == venue.venue.flow.id_before(SYMBOL, 4)
            venue.arm(kind="rest_fail", venue="deribit", status=503)
            assert (await venue.get("/api/v2/public/get_instruments", currency="BTC")).status_code == 503
            assert (await venue.get("/api/v2/public/get_instruments", currency="BTC")).status_code == 200

    play(scenario())


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("get_order_book", {"instrument_name": "FOO"}, 10020),
        ("get_order_book", {"instrument_name": SYMBOL, "depth": "7"}, -32602),
        ("get_instruments", {}, -32602),
        ("get_instruments", {"currency": "BTC", "kind": "bond"}, -32602),
        ("dance", {}, -32601),
        ("auth", {"grant_type": "client_credentials", "client_id": "key", "client_secret": "wrong"}, 13004),
        ("auth", {"grant_type": "guess"}, -32602),
    ],
)
def test_an_invalid_call_gets_the_reason(path: str, query: dict[str, str], code: int) -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            reply = await venue.get(f"/api/v2/public/{path}", **query)
            assert (reply.status_code, reply.json()["error"]["code"]) == (400, code)
            assert (await call(one, f"public/{path}", **query))["error"]["code"] == code

    play(scenario())


def test_a_text_that_is_no_json_is_a_parse_error() -> None:
    async def scenario() -> None:
        async with deribit() as (_, one):
            await one.socket.send("{")
            assert (await one.receive())["error"]["code"] == -32700

    play(scenario())


def test_a_login_can_be_renewed_and_a_token_opens_a_private_subscription() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one), venue_client(url(venue)) as other:
            tokens = (await venue.get("/api/v2/public/auth", **KEYS)).json()["result"]
            renewed = await call(one, "public/auth", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
            assert renewed["result"]["access_token"] != tokens["access_token"]
            opened = await call(other, "private/subscribe", channels=[RAW], access_token=tokens["access_token"])
            assert opened["result"] == [RAW]

    play(scenario())


def test_the_small_calls_answer() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            login = await call(one, "public/hello", client_name="tests", client_version="1")
            assert login["result"] == (await call(one, "public/test"))["result"]
            assert (await call(one, "public/get_time"))["result"] > 1_600_000_000_000
            assert (await venue.get("/api/v2/public/get_time")).json()["usDiff"] >= 0
            assert login["testnet"] is False

    play(scenario())


def test_who_answers_test_requests_lives_and_who_does_not_is_closed() -> None:
    async def scenario() -> None:
        async with deribit(scale=0.005) as (_, one):
            assert (await call(one, "public/set_heartbeat", interval=5))["error"]["code"] == -32602
            assert (await call(one, "public/set_heartbeat", interval=10))["result"] == "ok"
            for _ in range(3):
                kinds = [(await one.receive_until(lambda frame: "params" in frame))["params"]["type"] for _ in range(2)]
                assert kinds == ["heartbeat", "test_request"]
                await one.send({"jsonrpc": "2.0", "id": 1, "method": "public/test", "params": {}})
            assert await one.wait_closed() == 1008

    play(scenario())


def test_the_eleventh_subscription_at_once_is_too_many() -> None:
    async def scenario() -> None:
        async with deribit() as (_, one):
            replies = [await subscribe(one, FAST) for _ in range(11)]
            assert all("result" in reply for reply in replies[:10])
            assert replies[10]["error"]["code"] == 10028

    play(scenario())


def test_the_thirty_third_connection_is_rejected() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, _), AsyncExitStack() as stack:
            for _ in range(31):
                await stack.enter_async_context(venue_client(url(venue)))
            with pytest.raises(InvalidStatus) as refused:
                await stack.enter_async_context(venue_client(url(venue)))
            assert refused.value.response.status_code == 429

    play(scenario())


def test_maintenance_is_announced_to_who_listens_and_everybody_is_closed() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await subscribe(one, "platform_state")
            venue.venue.announce_shutdown(CryptoFault(kind=CryptoFaultKind.SERVE_SHUTDOWN, ms=20))
            assert (await receive_data(one)) == {"maintenance": True}
            assert await one.wait_closed() == 1001

    play(scenario())


@pytest.mark.parametrize("kind", ["ids_back", "crossed", "drop"])
def test_a_fault_corrupts_frames_for_one_client_and_leaves_the_flow_unchanged(kind: str) -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            await subscribe(one, FAST)
            book = Book(await receive_data(one))
            venue.arm(kind=kind, venue="deribit", symbol=SYMBOL, topic="book", count=3)
            venue.step(SYMBOL, 30)
            if kind == "drop":
                first_id = venue.venue.flow.last_id(SYMBOL)
                while not venue.faults.armed[0].done:
                    await call(one, "public/test")
                venue.step(SYMBOL, 30)
                assert (await receive_data(one))["prev_change_id"] == first_id
                return
            change = await receive_data(one)
            if kind == "ids_back":
                assert change["prev_change_id"] <= book.change_id - 3
                assert change["change_id"] <= book.change_id, "less would be a lie that no rule could find out"
            else:
                book.apply(change)
                assert max(book.bids) > min(book.asks)
                assert not book.is_true(venue)

    play(scenario())


def test_a_subscription_can_be_rejected_or_confirmed_and_never_served() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, one):
            venue.arm(kind="reject_subscribe", venue="deribit")
            assert (await subscribe(one, FAST))["error"]["code"] == 11050
            venue.arm(kind="reject_subscribe", venue="deribit", code=10041)
            assert (await subscribe(one, FAST))["error"]["code"] == 10041
            venue.arm(kind="ack_then_silence", venue="deribit", symbol=SYMBOL)
            other = "book.ETH-PERPETUAL.100ms"
            assert len((await subscribe(one, FAST, other))["result"]) == 2
            venue.step(SYMBOL, 20)
            assert (await one.receive())["params"]["channel"] == other

    play(scenario())


def test_a_running_sandbox_reports_the_expected_book_at_every_id() -> None:
    async def scenario(sandbox: CryptoSandbox) -> dict[int, list[list[Decimal]]]:
        seen: dict[int, list[list[Decimal]]] = {}
        async with venue_client(sandbox.stream_url("deribit", "/ws/api/v2")) as one:
            keys = {**KEYS, "client_id": sandbox.key, "client_secret": sandbox.secret}
            assert "result" in await call(one, "public/auth", **keys)
            await subscribe(one, RAW)
            book = Book(await receive_data(one))
            for _ in range(200):
                book.apply(await receive_data(one))
                sides = (sorted(book.bids.items(), reverse=True)[:10], sorted(book.asks.items())[:10])
                seen[book.change_id] = [list(level) for side in sides for level in side]
        return seen

    with crypto_sandbox("--crypto-rate", "200", venues="deribit") as sandbox:
        seen = asyncio.run(scenario(sandbox))
        expected_books = sandbox.venue_books("deribit", SYMBOL, list(seen))
    for (change_id, mine), expected in zip(seen.items(), expected_books, strict=True):
        assert expected is not None
        assert expected["id"] == change_id
        assert mine == [[Decimal(text) for text in level] for level in (*expected["bids"], *expected["asks"])]


def test_an_unknown_mode_or_value_is_rejected() -> None:
    async def scenario() -> None:
        async with deribit() as (venue, _):
            for name, value in (("colour", "red"), ("unknown_channel", "maybe")):
                with pytest.raises(AdminError):
                    venue.venue.set_mode(name, value)

    play(scenario())
