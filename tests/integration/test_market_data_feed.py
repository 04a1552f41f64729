"""The stock feed against venues that work, fail and vanish, over real sockets."""

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
    message: list[Any] = []

    async def note(connection: ServerConnection) -> None:
        await connection.send(CONNECTED)
        message.append(json.loads(await connection.recv()))
        await connection.send(AUTHENTICATED)
        message.append(json.loads(await connection.recv()))
        await connection.send(subscription())
        await connection.send(f"[{QUOTE}]")
        await connection.wait_closed()

    async def scene() -> None:
        async with AlpacaStreamServer(note) as venue, FeedHarness(config(venue.url)) as harness:
            (batch,) = await harness.wait_for(StockFrame)
            assert harness.delivered == [StockFeedUp(), batch]
            assert [type(message) for message in batch.messages] == [Quote]

    on_a_loop(scene())
    assert message[0] == {"action": "auth", "key": "KEY", "secret": "SECRET"}
    assert message[1] == {"action": "subscribe", "trades": [*SYMBOLS], "quotes": [*SYMBOLS]}


def test_a_clean_end_frees_the_connection_with_a_close_frame() -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(handshake_and_quote) as venue:
            async with FeedHarness(config(venue.url)) as harness:
                await harness.wait_for(StockFrame)
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
        (send_frames(CONNECTED, AUTHENTICATED, CONNECTED), "replied to the subscription with Success"),
    ],
)
def test_a_temporary_failure_is_reported_and_retried(script: Script, reason: str) -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(script, handshake_and_quote) as venue, FeedHarness(config(venue.url)) as harness:
            await harness.wait_for(StockFrame)
            (dropped,) = harness.all(StockFeedDown)
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
def test_a_permanent_failure_is_reported_once_and_never_retried(script: Script, reason: str) -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(script, handshake_and_quote) as venue, FeedHarness(config(venue.url)) as harness:
            (dropped,) = await harness.wait_for(StockFeedDown)
            assert dropped.is_permanent
            assert reason in dropped.reason
            assert venue.url in dropped.reason
            # A retry would have come at once: before another feed is through its whole handshake.
            async with AlpacaStreamServer(handshake_and_quote) as other, FeedHarness(config(other.url)) as second:
                await second.wait_for(StockFrame)
            assert venue.connections == 1

    on_a_loop(scene())


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_venue_is_retried(status: int) -> None:
    async def scene() -> None:
        async with (
            AlpacaStreamServer(handshake_and_quote, statuses=[(status, {})]) as venue,
            FeedHarness(config(venue.url)) as harness,
        ):
            await harness.wait_for(StockFrame)
            (dropped,) = harness.all(StockFeedDown)
            assert f"HTTP {status}" in dropped.reason

    on_a_loop(scene())


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_venue_that_rejects_us_is_not_retried(status: int) -> None:
    async def scene() -> None:
        async with (
            AlpacaStreamServer(handshake_and_quote, statuses=[(status, {})]) as venue,
            FeedHarness(config(venue.url)) as harness,
        ):
            (dropped,) = await harness.wait_for(StockFeedDown)
            assert dropped.is_permanent
            assert f"HTTP {status}" in dropped.reason

    on_a_loop(scene())


def test_the_keys_follow_no_redirect() -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(handshake_and_quote) as elsewhere:
            moved = [(302, {"Location": elsewhere.url})]
            async with (
                AlpacaStreamServer(handshake_and_quote, statuses=moved) as venue,
                FeedHarness(config(venue.url)) as harness,
            ):
                (dropped,) = await harness.wait_for(StockFeedDown)
            assert dropped.is_permanent
            assert elsewhere.upgrades == 0

    on_a_loop(scene())


def test_a_venue_that_sends_nothing_is_disconnected() -> None:
    async def scene() -> None:
        async with (
            AlpacaStreamServer(send_frames(), handshake_and_quote) as venue,
            FeedHarness(config(venue.url, reply_timeout_ms=100)) as harness,
        ):
            await harness.wait_for(StockFrame)
            (dropped,) = harness.all(StockFeedDown)
            assert "in time" in dropped.reason

    on_a_loop(scene())


def test_a_connection_without_data_is_closed_and_the_next_one_gets_more_time() -> None:
    async def scene() -> None:
        timeouts = {"no_data_timeout_ms": 500, "no_data_timeout_ms_max": 600}
        async with (
            AlpacaStreamServer(handshake_and_wait) as venue,
            FeedHarness(config(venue.url, **timeouts)) as harness,
        ):
            first, second = await harness.wait_for(StockFeedDown, 2)
            assert "no data" in first.reason
            assert "no data" in second.reason
            assert len(harness.all(StockFeedUp)) >= 2

    on_a_loop(scene())


async def handshake_and_wait(connection: ServerConnection) -> None:
    await complete_handshake(connection)
    await connection.wait_closed()


def test_a_port_where_nobody_listens_is_tried_until_somebody_does() -> None:
    async def scene() -> None:
        async with AlpacaStreamServer(handshake_and_quote) as gone:
            url = gone.url
        async with FeedHarness(config(url)) as harness:
            dropped = await harness.wait_for(StockFeedDown, 3)
            assert all("cannot connect" in one.reason and not one.is_permanent for one in dropped)

    on_a_loop(scene())


def test_the_sandbox_is_received_lost_and_received_again(tmp_path: Path) -> None:
    async def scene() -> None:
        with running_sandbox("--state", str(tmp_path / "venue"), "--speed", "5") as sandbox:
            where = sandbox.endpoints
            keys, symbols = (where["key"], where["secret"]), ("AAPL", "NVDA", "SPY")
            async with FeedHarness(config(where["data_url"]), keys=keys, symbols=symbols) as harness:
                await harness.wait_for(StockFrame, 20)
                message = [message for batch in harness.all(StockFrame) for message in batch.messages]
                assert {message.symbol for message in message if isinstance(message, Quote)} == {"AAPL", "NVDA", "SPY"}
                assert all(message.is_two_sided for message in message if isinstance(message, Quote))
                assert not sum(batch.unknown + batch.malformed for batch in harness.all(StockFrame))
                sandbox.kill()
                await harness.wait_for(StockFeedDown)
                sandbox.restart()
                await harness.wait_for(StockFeedUp, 2)
                before = len(harness.all(StockFrame))
                await harness.wait_for(StockFrame, before + 5)

    on_a_loop(scene())
