"""The simulated OKX as a real client sees it: websocket and REST on a real port."""

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from components.runtime.clock import SystemClock
from components.sandbox.okx.instruments import INSTRUMENTS
from components.sandbox.okx.messages import checksum
from components.sandbox.okx.venue import OkxVenue
from components.sandbox.simulation.order_flow import IdSpace
from components.sandbox.transport.faults import CryptoFault, CryptoFaultKind
from components.sandbox.transport.http_server import AdminError
from tests.support.crypto_sandbox import CryptoSandbox, crypto_sandbox
from tests.support.crypto_venue_server import CREDENTIALS, Frame, VenueClient, VenueServer, venue_client, venue_server
from tests.support.eventually import eventually_async
from tests.support.machine import scaled

pytestmark = pytest.mark.integration
SYMBOL = "BTC-USDT"


def play(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scenario)


@asynccontextmanager
async def okx(scale: float = 1.0) -> AsyncIterator[tuple[VenueServer, VenueClient]]:
    async with (
        venue_server(OkxVenue, INSTRUMENTS, IdSpace.PER_SYMBOL, scale) as venue,
        venue_client(f"{venue.ws_url}/ws/v5/public") as one,
    ):
        yield venue, one


async def subscribe(one: VenueClient, channel: str, symbol: str = SYMBOL) -> Frame:
    await one.send({"id": "1", "op": "subscribe", "args": [{"channel": channel, "instId": symbol}]})
    return await one.receive()


class Book:
    """An order book kept by the venue's own rules, with the texts of its levels."""

    def __init__(self, snapshot: Frame) -> None:
        self.bids: dict[str, str] = {}
        self.asks: dict[str, str] = {}
        self.sequence = -1
        self.apply(snapshot)

    def apply(self, frame: Frame) -> None:
        data = frame["data"][0]
        assert data["prevSeqId"] == self.sequence
        for side, levels in ((self.bids, data["bids"]), (self.asks, data["asks"])):
            for price, size, *_ in levels:
                if Decimal(size):
                    side[price] = size
                else:
                    side.pop(price, None)
        self.sequence = data["seqId"]

    def sides(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        def best(side: dict[str, str], *, is_bid: bool) -> list[tuple[str, str]]:
            return sorted(side.items(), key=lambda level: Decimal(level[0]), reverse=is_bid)

        return best(self.bids, is_bid=True), best(self.asks, is_bid=False)

    def is_true(self, venue: VenueServer, flow_id: int, depth: int = 400) -> bool:
        expected = venue.venue.flow.book_at(SYMBOL, flow_id).top(depth)
        return all(
            [(Decimal(price), Decimal(size)) for price, size in mine[:depth]] == theirs
            for mine, theirs in zip(self.sides(), expected, strict=True)
        )


def test_a_book_begins_with_a_snapshot_and_its_updates_chain_to_the_venues_own_book() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            confirmed = await subscribe(one, "books")
            assert confirmed["event"] == "subscribe"
            assert confirmed["arg"] == {"channel": "books", "instId": SYMBOL}
            assert len(confirmed["connId"]) == 8
            snapshot = await one.receive()
            assert (snapshot["action"], snapshot["data"][0]["checksum"]) == ("snapshot", 0)
            book = Book(snapshot)
            for _ in range(3):
                venue.step(SYMBOL, 40)
                book.apply(await one.receive())
                assert book.is_true(venue, book.sequence)

    play(scenario())


@pytest.mark.parametrize("channel", ["books-l2-tbt", "books50-l2-tbt"])
def test_tick_by_tick_books_need_a_login_and_a_tier(channel: str) -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            assert (await subscribe(one, channel))["code"] == "60011"
            now_s = str(SystemClock().now_ns() // 1_000_000_000)
            sign = hmac.digest(CREDENTIALS.secret.encode(), f"{now_s}GET/users/self/verify".encode(), "sha256")
            proof = {"apiKey": CREDENTIALS.key, "passphrase": "", "timestamp": now_s}
            await one.send({"op": "login", "args": [{**proof, "sign": base64.b64encode(sign).decode()}]})
            assert (await one.receive())["event"] == "login"
            assert (await subscribe(one, channel))["code"] == "64003"
            venue.venue.set_mode("vip", "on")
            assert (await subscribe(one, channel))["event"] == "subscribe"
            book = Book(await one.receive())
            for _ in range(5):
                venue.step(SYMBOL, 40)
                book.apply(await one.receive())
                assert book.is_true(venue, book.sequence, 50)
                if channel == "books50-l2-tbt":
                    assert max(map(len, book.sides())) <= 50

    play(scenario())


@pytest.mark.parametrize(("channel", "depth"), [("books5", 5), ("bbo-tbt", 1)])
def test_small_books_are_whole_in_each_push(channel: str, depth: int) -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, channel)
            first = await one.receive()
            assert "action" not in first
            assert "prevSeqId" not in first["data"][0]
            venue.step(SYMBOL, 100)
            data = (await one.receive())["data"][0]
            bids, asks = venue.venue.flow.book_at(SYMBOL, data["seqId"]).top(depth)
            assert [(Decimal(price), Decimal(size)) for price, size, *_ in data["bids"]] == bids
            assert [(Decimal(price), Decimal(size)) for price, size, *_ in data["asks"]] == asks

    play(scenario())


def test_a_repeated_subscription_is_confirmed_and_brings_no_second_snapshot() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "books")
            await one.receive()
            assert (await subscribe(one, "books"))["event"] == "subscribe"
            venue.step(SYMBOL)
            assert (await one.receive())["action"] == "update"

    play(scenario())


def test_two_sockets_see_the_same_ids() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one), venue_client(f"{venue.ws_url}/ws/v5/public") as other:
            chains = []
            for client in (one, other):
                await subscribe(client, "books")
                await client.receive()
            venue.step(SYMBOL, 3)
            for client in (one, other):
                data = (await client.receive())["data"][0]
                chains.append((data["prevSeqId"], data["seqId"]))
            assert chains[0] == chains[1]

    play(scenario())


def test_one_bad_argument_is_rejected_and_the_others_are_served() -> None:
    async def scenario() -> None:
        async with okx() as (_, one):
            arguments = [{"channel": "books", "instId": "FOO-BAR"}, {"channel": "books", "instId": SYMBOL}]
            await one.send({"id": "9", "op": "subscribe", "args": arguments})
            refused, confirmed = await one.receive(), await one.receive()
            assert (refused["event"], refused["code"], refused["id"]) == ("error", "60018", "9")
            assert confirmed["event"] == "subscribe"

    play(scenario())


@pytest.mark.parametrize("text", ["{", '{"op":"subscribe","args":[]}', '{"op":"dance","args":[]}'])
def test_a_malformed_request_is_60012(text: str) -> None:
    async def scenario() -> None:
        async with okx() as (_, one):
            await one.socket.send(text)
            assert (await one.receive())["code"] == "60012"

    play(scenario())


def test_a_text_ping_gets_a_text_pong() -> None:
    async def scenario() -> None:
        async with okx() as (_, one):
            await one.socket.send("ping")
            assert await one.receive_text() == "pong"

    play(scenario())


def test_an_idle_socket_is_closed() -> None:
    async def scenario() -> None:
        async with okx(scale=0.002) as (_, one):
            assert await one.wait_closed() == 4004

    play(scenario())


def test_a_book_that_does_not_change_is_kept_alive_by_a_sequence_that_follows_itself() -> None:
    async def scenario() -> None:
        async with okx(scale=0.01) as (_, one):
            await subscribe(one, "books")
            snapshot = (await one.receive())["data"][0]
            updates: list[Frame] = []

            async def kept_alive() -> bool:
                # Without a message from the client the socket would be closed before the keep-alive of the book.
                await one.socket.send("ping")
                while (text := await one.receive_text()) != "pong":
                    updates.append(json.loads(text)["data"][0])
                return bool(updates)

            await eventually_async(kept_alive)
            assert updates[0]["prevSeqId"] == updates[0]["seqId"] == snapshot["seqId"]
            assert updates[0]["bids"] == updates[0]["asks"] == []

    play(scenario())


@pytest.mark.parametrize("mode", ["zero", "valid", "wrong", "absent"])
def test_the_checksum_follows_the_mode(mode: str) -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            venue.venue.set_mode("checksum", mode)
            await subscribe(one, "books")
            snapshot = await one.receive()
            book = Book(snapshot)
            sent, true = [snapshot["data"][0].get("checksum")], [checksum(*book.sides())]
            for _ in range(3):
                venue.step(SYMBOL, 30)
                frame = await one.receive()
                book.apply(frame)
                sent.append(frame["data"][0].get("checksum"))
                true.append(checksum(*book.sides()))
            match mode:
                case "zero" | "absent":
                    assert set(sent) == {0 if mode == "zero" else None}
                case "valid":
                    assert sent == true
                case _:
                    assert all(received and received != is_so for received, is_so in zip(sent, true, strict=True))

    play(scenario())


def test_after_maintenance_ids_start_below_and_every_id_still_has_its_book() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "books")
            book = Book(await one.receive())
            before = book.sequence
            venue.venue.set_mode("sequence_reset", SYMBOL)
            venue.step(SYMBOL, 5)
            frame = await one.receive()
            assert frame["data"][0]["prevSeqId"] == before
            assert frame["data"][0]["seqId"] < before
            book.apply(frame)
            okx_venue = venue.venue
            assert isinstance(okx_venue, OkxVenue)
            assert book.is_true(venue, okx_venue.flow_id(SYMBOL, book.sequence))

    play(scenario())


def test_a_snapshot_may_come_at_any_time() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "books")
            await one.receive()
            venue.venue.set_mode("snapshot", "*")
            frame = await one.receive()
            assert (frame["action"], frame["data"][0]["prevSeqId"]) == ("snapshot", -1)

    play(scenario())


def test_a_book_restarts_when_more_happens_at_once_than_the_history_holds() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "books")
            await one.receive()
            venue.step(SYMBOL, 25_000)
            book = Book(await one.receive_until(lambda frame: frame["action"] == "snapshot"))
            assert book.is_true(venue, venue.venue.flow.last_id(SYMBOL))

    play(scenario())


def test_without_a_websocket_snapshot_a_rest_book_joins_the_updates() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            venue.venue.set_mode("ws_snapshot", "off")
            await subscribe(one, "books")
            venue.step(SYMBOL, 10)
            first = await one.receive()
            assert first["action"] == "update"
            venue.step(SYMBOL, 10)
            second = (await one.receive())["data"][0]
            sequence = -1
            while sequence < second["prevSeqId"]:
                reply = (await venue.get("/api/v5/market/books", instId=SYMBOL, sz="400")).json()
                sequence = reply["data"][0]["seqId"]
            assert sequence <= second["seqId"]

    play(scenario())


def test_rest_books_come_from_two_servers_of_different_age() -> None:
    async def scenario() -> None:
        async with okx() as (venue, _), httpx.AsyncClient(base_url=venue.http_url, timeout=scaled(5)) as http:
            previous = 0
            # One client for all requests: opening one takes longer than the second server is behind.
            for _ in range(30):
                venue.step(SYMBOL, 10)
                reply = (await http.get("/api/v5/market/books", params={"instId": SYMBOL, "sz": "5"})).json()
                sequence = reply["data"][0]["seqId"]
                assert len(reply["data"][0]["bids"]) == 5
                if sequence < previous:
                    return
                previous = sequence
            pytest.fail("no book was older than the one before it")

    play(scenario())


def test_a_rest_book_may_have_no_id() -> None:
    async def scenario() -> None:
        async with okx() as (venue, _):
            venue.venue.set_mode("rest_seq_id", "off")
            reply = (await venue.get("/api/v5/market/books", instId=SYMBOL)).json()
            assert set(reply["data"][0]) == {"asks", "bids", "ts"}

    play(scenario())


def test_rest_answers_name_what_is_wrong_with_a_question() -> None:
    async def scenario() -> None:
        async with okx() as (venue, _):
            assert (await venue.get("/api/v5/market/books", instId="FOO")).json()["code"] == "51001"
            assert (await venue.get("/api/v5/market/books", instId=SYMBOL, sz="401")).json()["code"] == "51000"
            assert (await venue.get("/api/v5/public/instruments")).json()["code"] == "50014"
            assert (await venue.get("/api/v5/public/instruments", instType="OPTION")).json()["code"] == "50014"
            assert (await venue.get("/api/v5/public/instruments", instType="BOND")).json()["code"] == "51000"

    play(scenario())


def test_instruments_come_by_type() -> None:
    async def scenario() -> None:
        async with okx() as (venue, _):
            found = {}
            for kind in ("SPOT", "SWAP", "FUTURES", "OPTION"):
                reply = await venue.get(
                    "/api/v5/public/instruments", instType=kind, instFamily="BTC-USD" * (kind == "OPTION")
                )
                found[kind] = [one["instId"] for one in reply.json()["data"]]
            assert found == {
                "SPOT": ["BTC-USDT", "ETH-USDT"],
                "SWAP": ["BTC-USDT-SWAP", "BTC-USD-SWAP"],
                "FUTURES": ["BTC-USD-261225"],
                "OPTION": ["BTC-USD-261225-80000-P"],
            }

    play(scenario())


def test_the_first_trade_a_subscriber_receives_is_the_cached_last_one() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            venue.step_until_trade(SYMBOL)
            await subscribe(one, "trades")
            cached = (await one.receive())["data"][0]
            assert cached["tradeId"] == str(venue.venue.flow.last_trade_id(SYMBOL))
            assert cached["count"] == "1"
            venue.step_until_trade(SYMBOL)
            assert int((await one.receive())["data"][0]["tradeId"]) == int(cached["tradeId"]) + 1

    play(scenario())


def test_single_fills_are_served_by_the_business_endpoint_alone() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one), venue_client(f"{venue.ws_url}/ws/v5/business") as business:
            assert (await subscribe(one, "trades-all"))["code"] == "60018"
            assert (await subscribe(business, "books"))["code"] == "60018"
            assert (await subscribe(business, "trades-all"))["event"] == "subscribe"
            venue.step_until_trade(SYMBOL)
            assert (await business.receive())["data"][0]["tradeId"] == str(venue.venue.flow.last_trade_id(SYMBOL))

    play(scenario())


def test_a_ticker_is_sent_at_once_and_again_when_it_changes() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "tickers")
            first = (await one.receive())["data"][0]
            assert first["instType"] == "SPOT"
            venue.step_until_trade(SYMBOL)
            later = await one.receive_until(lambda frame: frame["data"][0]["last"] != first["last"])
            assert Decimal(later["data"][0]["bidPx"]) < Decimal(later["data"][0]["askPx"])

    play(scenario())


def test_an_upgrade_is_announced_and_then_the_socket_is_closed() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "books")
            await one.receive()
            venue.venue.announce_shutdown(CryptoFault(kind=CryptoFaultKind.SERVE_SHUTDOWN, ms=20))
            sent = await one.receive()
            assert (sent["event"], sent["code"]) == ("notice", "64008")
            assert await one.wait_closed() == 1001

    play(scenario())


def test_an_unsubscribed_book_is_silent_and_restarts_when_subscribed_again() -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "books")
            await one.receive()
            await one.send({"op": "unsubscribe", "args": [{"channel": "books", "instId": SYMBOL}]})
            assert (await one.receive())["event"] == "unsubscribe"
            venue.step(SYMBOL, 10)
            assert (await subscribe(one, "books"))["event"] == "subscribe"
            frame = await one.receive()
            assert (frame["action"], frame["data"][0]["seqId"]) == ("snapshot", venue.venue.flow.last_id(SYMBOL))

    play(scenario())


def test_the_fourth_handshake_within_a_second_is_rejected() -> None:
    async def scenario() -> None:
        async with okx() as (venue, _):
            url = f"{venue.ws_url}/ws/v5/public"
            async with venue_client(url), venue_client(url):
                with pytest.raises(InvalidStatus) as refused:
                    async with venue_client(url):
                        pass
            assert refused.value.response.status_code == 429

    play(scenario())


def test_the_forty_first_rest_book_within_two_seconds_is_rejected() -> None:
    async def scenario() -> None:
        async with okx() as (venue, _):
            requested = [venue.get("/api/v5/market/books", instId=SYMBOL) for _ in range(41)]
            replies = await asyncio.gather(*requested)
            assert sorted(reply.status_code for reply in replies) == [200] * 40 + [429]

    play(scenario())


@pytest.mark.parametrize("kind", ["ids_back", "crossed"])
def test_a_corrupted_frame_is_wrong_for_one_client_and_leaves_the_flow_unchanged(kind: str) -> None:
    async def scenario() -> None:
        async with okx() as (venue, one):
            await subscribe(one, "books")
            book = Book(await one.receive())
            venue.arm(kind=kind, venue="okx", count=7)
            venue.step(SYMBOL, 20)
            frame = await one.receive()
            if kind == "ids_back":
                assert frame["data"][0]["prevSeqId"] <= book.sequence - 7
                assert frame["data"][0]["seqId"] <= book.sequence, "less would be a lie that no rule could find out"
            else:
                book.apply(frame)
                bids, asks = book.sides()
                assert Decimal(bids[0][0]) > Decimal(asks[0][0])
            (best_bid, *_), (best_ask, *_) = venue.venue.flow.book(SYMBOL).top(1)
            assert best_bid < best_ask

    play(scenario())


def test_a_running_sandbox_reports_the_expected_book_at_every_id_across_a_maintenance() -> None:
    async def scenario(sandbox: CryptoSandbox) -> dict[int, list[list[str]]]:
        seen: dict[int, list[list[str]]] = {}
        async with venue_client(sandbox.stream_url("okx", "/ws/v5/public")) as one:
            await subscribe(one, "books")
            book = Book(await one.receive())
            for number in range(20):
                if number == 10:
                    await asyncio.to_thread(sandbox.set_mode, "okx", "sequence_reset", "*")
                book.apply(await one.receive())
                seen[book.sequence] = [[price, size] for side in book.sides() for price, size in side[:10]]
        return seen

    with crypto_sandbox("--crypto-rate", "200", venues="okx") as sandbox:
        seen = asyncio.run(scenario(sandbox))
        expected_books = sandbox.venue_books("okx", SYMBOL, list(seen))
    assert max(seen) - min(seen) > 10_000
    for mine, expected in zip(seen.values(), expected_books, strict=True):
        assert expected is not None
        assert mine == [*expected["bids"], *expected["asks"]]


def test_an_unknown_mode_or_value_is_rejected() -> None:
    async def scenario() -> None:
        async with okx() as (venue, _):
            for name, value in (("colour", "red"), ("checksum", "maybe"), ("snapshot", "FOO")):
                with pytest.raises(AdminError):
                    venue.venue.set_mode(name, value)

    play(scenario())
