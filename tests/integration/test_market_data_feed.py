"""The feed against venues that behave, misbehave and vanish, over real sockets."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from components.contracts.market import Quote
from components.market_data.core.events import StockFeedDown, StockFeedUp, StockFrame
from tests.support.alpaca_stream_server import (
    AUTHENTICATED,
    CONNECTED,
    QUOTE,
    SYMBOLS,
    AlpacaStreamServer,
    FeedHarness,
    Script,
    complete_handshake,
    config,
    failure,
    handshake_and_quote,
    send_frames,
    subscription,
)
from tests.support.eventually import eventually_async
from tests.support.sandbox_process import running_sandbox

pytestmark = pytest.mark.integration


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


def test_the_handshake_waits_for_each_step_and_asks_for_trades_and_quotes() -> None:
    said: list[Any] = []

    async def note(connection: ServerConnection) -> None:
        await connection.send(CONNECTED)
        said.append(json.loads(await connection.recv()))
        await connection.send(AUTHENTICATED)
        said.append(json.loads(await connection.recv()))
        await connection.send(subscription())
        await connection.send(f"[{QUOTE}]")
        await connection.wait_closed()

    async def scene() -> None:
        async with AlpacaStreamServer(note) as venue, FeedHarness(config(venue.url)) as ear:
            (batch,) = await ear.wait_for(StockFrame)
            assert ear.delivered == [StockFeedUp(), batch]
            assert [type(message) for message in batch.messages] == [Quote]

    on_a_loop(scene())
    assert said[0] == {"action": "auth", "key": "KEY", "secret": "SECRET"}
    assert said[1] == {"action": "subscribe", "trades": [*SYMBOLS], "quotes": [*SYMBOLS]}


def test_a_clean_end_frees_the_connection_with_a_close_frame() -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(handshake_and_quote) as venue:
            async with FeedHarness(config(venue.url)) as ear:
                await ear.wait_for(StockFrame)
            assert await eventually_async(venue.observed_close_codes) == [1000]

    on_a_loop(scene())


async def leave_out_a_symbol(connection: ServerConnection) -> None:
    await connection.send(CONNECTED)
    await connection.recv()
    await connection.send(AUTHENTICATED)
    await connection.recv()
    await connection.send(subscription(["AAPL"]))
    await connection.wait_closed()


async def drop_at_once(connection: ServerConnection) -> None:
    connection.transport.abort()


async def drop_after_a_quote(connection: ServerConnection) -> None:
    await complete_handshake(connection)
    await connection.send(f"[{QUOTE}]")
    connection.transport.abort()


async def send_a_giant(connection: ServerConnection) -> None:
    await complete_handshake(connection)
    await connection.send("[" + " " * 70_000 + "]")
    await connection.wait_closed()


async def complain_later(connection: ServerConnection) -> None:
    await complete_handshake(connection)
    await connection.send(failure(407, "slow client"))
    await connection.wait_closed()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (leave_out_a_symbol, "missing in the subscription: MSFT"),
        (drop_at_once, "ended"),
        (drop_after_a_quote, "ended"),
        (send_a_giant, "ended"),
        (complain_later, "407 slow client"),
        (send_frames(failure(406, "connection limit exceeded")), "406 connection limit exceeded"),
        (send_frames(failure(500, "internal error")), "500 internal error"),
        (send_frames(CONNECTED, failure(404, "auth timeout")), "404 auth timeout"),
        (send_frames(CONNECTED, CONNECTED), "expected 'authenticated'"),
        (send_frames(CONNECTED, AUTHENTICATED, CONNECTED), "answered the subscription with Success"),
    ],
)
def test_what_may_pass_is_told_and_tried_again(script: Script, reason: str) -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(script, handshake_and_quote) as venue, FeedHarness(config(venue.url)) as ear:
            await ear.wait_for(StockFrame)
            (dropped,) = ear.all(StockFeedDown)
            assert reason in dropped.reason
            assert not dropped.is_permanent
            assert venue.connections == 2

    on_a_loop(scene())


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (send_frames(CONNECTED, failure(402, "auth failed")), "402 auth failed"),
        (send_frames(CONNECTED, AUTHENTICATED, failure(405, "symbol limit exceeded")), "405 symbol limit exceeded"),
        (
            send_frames(CONNECTED, AUTHENTICATED, failure(409, "insufficient subscription")),
            "409 insufficient subscription",
        ),
        (send_frames(CONNECTED, AUTHENTICATED, failure(400, "invalid syntax")), "2 symbols: AAPL, MSFT"),
    ],
)
def test_what_cannot_pass_is_told_once_and_never_tried_again(script: Script, reason: str) -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(script, handshake_and_quote) as venue, FeedHarness(config(venue.url)) as ear:
            (dropped,) = await ear.wait_for(StockFeedDown)
            assert dropped.is_permanent
            assert reason in dropped.reason
            assert venue.url in dropped.reason
            # A retry would have come at once: before another feed is through its whole handshake.
            async with AlpacaStreamServer(handshake_and_quote) as other, FeedHarness(config(other.url)) as second:
                await second.wait_for(StockFrame)
            assert venue.connections == 1

    on_a_loop(scene())


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_venue_that_is_overloaded_is_asked_again(status: int) -> None:
    async def scene() -> None:
        async with (
            AlpacaStreamServer(handshake_and_quote, statuses=[(status, {})]) as venue,
            FeedHarness(config(venue.url)) as ear,
        ):
            await ear.wait_for(StockFrame)
            (dropped,) = ear.all(StockFeedDown)
            assert f"HTTP {status}" in dropped.reason

    on_a_loop(scene())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_venue_that_refuses_us_is_not_asked_again(status: int) -> None:
    async def scene() -> None:
        async with (
            AlpacaStreamServer(handshake_and_quote, statuses=[(status, {})]) as venue,
            FeedHarness(config(venue.url)) as ear,
        ):
            (dropped,) = await ear.wait_for(StockFeedDown)
            assert dropped.is_permanent
            assert f"HTTP {status}" in dropped.reason

    on_a_loop(scene())


def test_the_keys_follow_no_redirect() -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(handshake_and_quote) as elsewhere:
            moved = [(302, {"Location": elsewhere.url})]
            async with (
                AlpacaStreamServer(handshake_and_quote, statuses=moved) as venue,
                FeedHarness(config(venue.url)) as ear,
            ):
                (dropped,) = await ear.wait_for(StockFeedDown)
            assert dropped.is_permanent
            assert elsewhere.upgrades == 0

    on_a_loop(scene())


def test_a_venue_that_says_nothing_at_all_is_left() -> None:
    async def scene() -> None:
        async with (
            AlpacaStreamServer(send_frames(), handshake_and_quote) as venue,
            FeedHarness(config(venue.url, reply_timeout_ms=100)) as ear,
        ):
            await ear.wait_for(StockFrame)
            (dropped,) = ear.all(StockFeedDown)
            assert "in time" in dropped.reason

    on_a_loop(scene())


def test_a_mute_socket_is_left_and_the_next_one_is_given_more_time() -> None:
    async def scene() -> None:
        patience = {"no_data_timeout_ms": 500, "no_data_timeout_ms_max": 600}
        async with AlpacaStreamServer(welcome_and_stay) as venue, FeedHarness(config(venue.url, **patience)) as ear:
            first, second = await ear.wait_for(StockFeedDown, 2)
            assert "mute" in first.reason
            assert "mute" in second.reason
            assert len(ear.all(StockFeedUp)) >= 2

    on_a_loop(scene())


async def welcome_and_stay(connection: ServerConnection) -> None:
    await complete_handshake(connection)
    await connection.wait_closed()


def test_a_port_where_nobody_listens_is_tried_until_somebody_does() -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(handshake_and_quote) as gone:
            url = gone.url
        async with FeedHarness(config(url)) as ear:
            dropped = await ear.wait_for(StockFeedDown, 3)
            assert all("cannot connect" in one.reason and not one.is_permanent for one in dropped)

    on_a_loop(scene())


def test_the_sandbox_is_heard_dropped_and_heard_again(tmp_path: Path) -> None:
    async def scene() -> None:
        with running_sandbox("--state", str(tmp_path / "venue"), "--speed", "5") as sandbox:
            where = sandbox.endpoints
            keys, symbols = (where["key"], where["secret"]), ("AAPL", "NVDA", "SPY")
            async with FeedHarness(config(where["data_url"]), keys=keys, symbols=symbols) as ear:
                await ear.wait_for(StockFrame, 20)
                said = [message for batch in ear.all(StockFrame) for message in batch.messages]
                assert {message.symbol for message in said if isinstance(message, Quote)} == {"AAPL", "NVDA", "SPY"}
                assert all(message.is_two_sided for message in said if isinstance(message, Quote))
                assert not sum(batch.unknown + batch.malformed for batch in ear.all(StockFrame))
                sandbox.kill()
                await ear.wait_for(StockFeedDown)
                sandbox.restart()
                await ear.wait_for(StockFeedUp, 2)
                before = len(ear.all(StockFrame))
                await ear.wait_for(StockFrame, before + 5)

    on_a_loop(scene())
