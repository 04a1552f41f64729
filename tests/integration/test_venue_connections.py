"""The connections that all crypto venues share, over real sockets, against a fake venue that fails in every way."""

import asyncio
import json
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from components.contracts.market import Trade
from components.market_data.core.events import (
    BookStreamDown,
    BookStreamUp,
    DecodedFrame,
    DecodeIssue,
    DepthSnapshot,
    DepthUpdate,
    FeedDown,
    FeedReply,
    FeedUp,
    FetchSnapshot,
    InstrumentsLoaded,
    IssueKind,
    Resubscribe,
    Resubscribed,
    SnapshotUnavailable,
)
from tests.support.eventually import eventually_async
from tests.support.fake_venue import (
    FAKE_VENUE,
    ONE,
    THREE,
    TWO,
    FakeVenue,
    FakeVenueAdapter,
    FeedHarness,
    HttpReply,
    Script,
    confirm,
    confirm_and_send,
    confirm_only,
)

pytestmark = pytest.mark.integration


NS_PER_MS = 1_000_000


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the event loop that a feed runs on
        runner.run(asyncio.wait_for(test, 30))


async def opened(harness: FeedHarness, count: int = 1) -> None:
    await harness.wait_for(FeedUp, count)


async def confirm_many(venue: FakeVenue, connection: ServerConnection, count: int) -> list[str]:
    names: list[str] = []
    while len(names) < count:
        names += await confirm(venue, connection)
    return names


def test_instruments_come_first_then_books_then_their_data_and_the_venue_is_up() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue) as harness:
            await opened(harness)
            await harness.wait_for(DepthUpdate, 2)
        assert isinstance(harness.delivered[0], InstrumentsLoaded)
        assert [one.symbol for one in harness.delivered[0].instruments] == [ONE, TWO]
        first_data = next(place for place, one in enumerate(harness.delivered) if isinstance(one, DecodedFrame))
        assert harness.delivered.index(BookStreamUp(FAKE_VENUE, ONE)) < first_data
        assert harness.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE), BookStreamUp(FAKE_VENUE, TWO)]
        (framed, *_) = harness.all(DecodedFrame)
        assert framed.parse_ns > 0
        assert framed.bytes_count == len('{"d": "one-usd", "p": 0, "f": 1}')
        assert harness.metric_sum("venue_frames_total") >= 3

    on_a_loop(scene())


def test_topics_are_subscribed_in_chunks_below_the_rate_limit() -> None:
    natives = [f"c{number}-usd" for number in range(9)]

    async def scene() -> None:
        async with FakeVenue(natives=natives) as venue:
            adapter = FakeVenueAdapter(venue, topics_per_request=2, sends_per_second=10.0)
            symbols = [f"TOY:{native.upper()}" for native in natives]
            async with FeedHarness(venue, *symbols, adapter=adapter) as harness:
                await opened(harness)
            chunks = venue.requests_of("sub")
            assert [len(chunk) for chunk in chunks] == [2, 2, 2, 2, 1]
            assert sorted(name for chunk in chunks for name in chunk) == sorted(f"depth:{native}" for native in natives)

    on_a_loop(scene())


def test_a_rate_limit_spreads_what_exceeds_a_burst() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            # Five a second: three at once, the rest spread, so that no second holds more.
            adapter = FakeVenueAdapter(venue, topics_per_request=1, sends_per_second=5.0)
            natives = [f"c{number}-usd" for number in range(4)]
            venue.replies["/instruments"] = [HttpReply(json.dumps(natives).encode())]
            async with FeedHarness(venue, *(f"TOY:{one.upper()}" for one in natives), adapter=adapter) as harness:
                await opened(harness)
            assert venue.received_at_ns[3] - venue.received_at_ns[0] >= 400 * NS_PER_MS

    on_a_loop(scene())


async def cut_after_data(venue: FakeVenue, connection: ServerConnection) -> None:
    await confirm(venue, connection)
    await connection.send(venue.next_update("one-usd"))
    connection.transport.abort()


def test_a_cut_connection_is_replaced_within_a_quarter_of_a_second_and_its_books_are_reported() -> None:
    async def scene() -> None:
        async with FakeVenue(cut_after_data, confirm_and_send) as venue, FeedHarness(venue, ONE) as harness:
            await opened(harness, 2)
            first, second = venue.upgrades_at_ns
            assert second - first < 300 * NS_PER_MS
        (closed,) = harness.all(BookStreamDown)
        assert (closed.symbol, closed.is_permanent) == (ONE, False)
        assert [type(one) for one in harness.delivered if isinstance(one, (BookStreamUp, BookStreamDown))] == [
            BookStreamUp,
            BookStreamDown,
            BookStreamUp,
        ]
        assert not harness.all(FeedDown)[0].is_permanent
        assert harness.metric_sum("venue_disconnects_total", reason="closed") == 1

    on_a_loop(scene())


def test_two_connections_are_one_venue_and_the_loss_of_one_leaves_the_others_books_alone() -> None:
    async def cut_trades(venue: FakeVenue, connection: ServerConnection) -> None:
        names = await confirm(venue, connection)
        if names[0].startswith("trades") and len(venue.connections) <= 2:
            connection.transport.abort()
            return
        await connection.send(venue.next_update("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with (
            FakeVenue(cut_trades) as venue,
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, trades=True)) as harness,
        ):
            await harness.wait_for(FeedDown)
            await eventually_async(lambda: _is_last(harness, FeedUp(FAKE_VENUE)))
            assert harness.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE)]
            assert not harness.all(BookStreamDown)

    on_a_loop(scene())


async def _is_last(harness: FeedHarness, message: object) -> bool:
    lines = [one for one in harness.delivered if isinstance(one, (FeedUp, FeedDown))]
    return bool(lines) and lines[-1] == message


def rejecting(*bad: str, final: bool = True, names_them: bool = True) -> Script:
    """Return a script that rejects whole requests that contain a bad topic."""

    async def script(venue: FakeVenue, connection: ServerConnection) -> None:
        while True:
            message = await venue.receive(connection)
            if "alive" in message:
                continue
            wrong = [name for name in message["sub"] if name in bad]
            if not wrong:
                await connection.send(json.dumps({"ok": message["sub"], "id": message["id"]}))
                for name in message["sub"]:
                    await connection.send(venue.next_update(name.partition(":")[2]))
                continue
            named = wrong if names_them else []
            await connection.send(json.dumps({"no": named, "id": message["id"], "why": "no such", "final": final}))
            rest = [name for name in message["sub"] if name not in wrong] if names_them else []
            if rest:
                await connection.send(json.dumps({"ok": rest, "id": message["id"]}))

    return script


@pytest.mark.parametrize("names_them", [True, False])
def test_a_symbol_that_is_rejected_permanently_is_named_and_never_subscribed_again(names_them: bool) -> None:
    script = rejecting("depth:two-usd", names_them=names_them)

    async def scene() -> None:
        async with FakeVenue(script) as venue, FeedHarness(venue, ONE, TWO, THREE) as harness:
            await opened(harness)
            (closed,) = harness.all(BookStreamDown)
            assert closed.is_permanent
            assert TWO in closed.reason
            assert {one.symbol for one in harness.all(BookStreamUp)} == {ONE, THREE}
            requested = [name for chunk in venue.requests_of("sub") for name in chunk]
            venue.connections[0].transport.abort()
            await opened(harness, 2)
            again = [name for chunk in venue.requests_of("sub") for name in chunk][len(requested) :]
            assert sorted(again) == ["depth:one-usd", "depth:three-usd"]
            assert harness.metric_sum("venue_topics_rejected_total", permanent="yes") == 1
            assert len([one for one in harness.all(BookStreamDown) if one.symbol == TWO]) == 1

    on_a_loop(scene())


def test_of_many_that_are_rejected_together_the_bad_ones_are_found_by_bisection() -> None:
    natives = [f"c{number}-usd" for number in range(16)]
    bad = ("depth:c3-usd", "depth:c11-usd")

    async def scene() -> None:
        async with FakeVenue(rejecting(*bad, names_them=False), natives=natives) as venue:
            adapter = FakeVenueAdapter(venue, topics_per_request=16, sends_per_second=200.0)
            async with FeedHarness(venue, *(f"TOY:{one.upper()}" for one in natives), adapter=adapter) as harness:
                await opened(harness)
            assert {one.symbol for one in harness.all(BookStreamDown)} == {"TOY:C3-USD", "TOY:C11-USD"}
            assert len(harness.all(BookStreamUp)) == 14
            assert len(venue.requests_of("sub")) < 20

    on_a_loop(scene())


def test_a_temporary_rejection_is_tried_again_on_the_same_connection() -> None:
    async def refuse_once(venue: FakeVenue, connection: ServerConnection) -> None:
        message = await venue.receive(connection)
        await connection.send(json.dumps({"no": [], "id": message["id"], "why": "busy", "final": False}))
        await confirm_and_send(venue, connection)

    async def scene() -> None:
        async with FakeVenue(refuse_once) as venue, FeedHarness(venue, ONE) as harness:
            await harness.wait_for(BookStreamUp)
            (closed,) = harness.all(BookStreamDown)
            assert not closed.is_permanent
            assert "busy" in closed.reason
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_an_unlisted_symbol_is_reported_once_and_affects_no_other() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, "TOY:NONE-USD", ONE) as harness:
            await opened(harness)
            (closed,) = harness.all(BookStreamDown)
            assert closed.is_permanent
            assert "TOY:NONE-USD: no such instrument" in closed.reason
            assert venue.requests_of("sub") == [["depth:one-usd"]]

    on_a_loop(scene())


def test_a_frame_that_no_decoder_expects_is_an_issue_and_the_connection_continues() -> None:
    async def talk_nonsense(venue: FakeVenue, connection: ServerConnection) -> None:
        await confirm(venue, connection)
        await connection.send("{]")
        await connection.send('{"d": "other-usd", "p": 1, "f": 2}')
        await connection.send(venue.next_update("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with FakeVenue(talk_nonsense) as venue, FeedHarness(venue, ONE) as harness:
            await harness.wait_for(DepthUpdate)
            assert [issues.kind for issues in harness.data(DecodeIssue)] == [IssueKind.MALFORMED, IssueKind.UNLISTED]
            assert harness.metric_sum("venue_decode_issues_total", kind="malformed") == 1
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_a_book_that_is_confirmed_without_data_is_subscribed_again_on_the_same_connection() -> None:
    async def forget_one(venue: FakeVenue, connection: ServerConnection) -> None:
        await confirm_many(venue, connection, 2)
        await connection.send(venue.next_update("two-usd"))
        await confirm_and_send(venue, connection)

    async def scene() -> None:
        async with FakeVenue(forget_one) as venue, FeedHarness(venue, first_data_timeout_ms=200) as harness:
            await eventually_async(lambda: _has_data_of(harness, ONE))
            assert venue.requests_of("unsub") == [["depth:one-usd"]]
            assert len(venue.connections) == 1
            assert harness.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE), BookStreamUp(FAKE_VENUE, TWO)]
            assert harness.metric_sum("venue_resubscribes_total") == 1

    on_a_loop(scene())


async def _has_data_of(harness: FeedHarness, symbol: str) -> bool:
    return any(change.symbol == symbol for change in harness.data(DepthUpdate))


def test_a_book_that_stays_without_data_gets_another_connection_while_the_others_continue() -> None:
    async def give_only_two(venue: FakeVenue, connection: ServerConnection) -> None:
        while True:
            if "depth:two-usd" in await confirm(venue, connection):
                await connection.send(venue.next_update("two-usd"))

    async def scene() -> None:
        async with (
            FakeVenue(give_only_two, confirm_and_send) as venue,
            FeedHarness(venue, first_data_timeout_ms=100) as harness,
        ):
            await eventually_async(lambda: _has_data_of(harness, ONE))
            assert len(venue.connections) == 2
            assert not harness.all(BookStreamDown)
            assert not harness.all(FeedDown)
            await eventually_async(
                lambda: _is_true(harness.metric_sum("venue_disconnects_total", reason="replaced") == 1)
            )

    on_a_loop(scene())


def test_a_quiet_book_costs_one_try_where_a_second_connection_is_not_wanted() -> None:
    async def give_only_two(venue: FakeVenue, connection: ServerConnection) -> None:
        while True:
            if "depth:two-usd" in await confirm(venue, connection):
                venue.statuses += [(503, {})] * 9
                await connection.send(venue.next_update("two-usd"))

    async def scene() -> None:
        quick = {"first_data_timeout_ms": 50, "retry_ms_first": 1, "retry_ms_max": 1}
        async with FakeVenue(give_only_two) as venue, FeedHarness(venue, **quick) as harness:
            await eventually_async(
                lambda: _is_true(harness.metric_sum("venue_disconnects_total", reason="upgrade_rejected") == 1)
            )
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.3)
            assert len(venue.upgrades_at_ns) == 2
            assert harness.metric_sum("venue_connections_live") == 1
            assert not harness.all(BookStreamDown)

    on_a_loop(scene())


def test_a_quiet_book_is_waited_for_longer_each_time() -> None:
    async def scene() -> None:
        async with FakeVenue(confirm_only) as venue:
            timeouts = {
                "first_data_timeout_ms": 100,
                "no_data_timeout_ms": 2_000,
                "retry_ms_first": 1,
                "retry_ms_max": 1,
            }
            async with FeedHarness(venue, ONE, **timeouts) as harness:
                await eventually_async(lambda: _made(venue, 4))
                first, second, third, fourth = venue.upgrades_at_ns[:4]
                assert second - first < third - second < fourth - third
                assert harness.metric_sum("venue_disconnects_total", reason="no_data") == 3

    on_a_loop(scene())


async def _made(venue: FakeVenue, count: int) -> bool:
    return len(venue.connections) >= count


async def accept_and_hang(venue: FakeVenue, connection: ServerConnection) -> None:
    """Accept the connection, then read and send nothing: no acknowledgement, no pong."""
    await confirm(venue, connection)
    connection.transport.pause_reading()
    await connection.wait_closed()


def test_a_half_open_connection_is_closed_when_a_ping_is_not_answered() -> None:
    async def scene() -> None:
        async with (
            FakeVenue(accept_and_hang, confirm_and_send) as venue,
            FeedHarness(venue, ONE, ping_after_idle_ms=100, reply_timeout_ms=300) as harness,
        ):
            await harness.wait_for(DepthUpdate)
            assert harness.metric_sum("venue_disconnects_total", reason="no_pong") == 1

    on_a_loop(scene())


def test_a_quiet_connection_that_answers_pings_stays() -> None:
    async def scene() -> None:
        async with (
            FakeVenue(confirm_only) as venue,
            FeedHarness(venue, ONE, ping_after_idle_ms=50, reply_timeout_ms=100) as harness,
        ):
            await opened(harness)
            # Several idle timeouts long.
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.5)
            assert harness.metric_sum("venue_connections_live") == 1
            assert len(venue.connections) == 1

    on_a_loop(scene())


async def _is_true(fact: bool) -> bool:
    return fact


def test_a_connection_without_data_is_replaced_though_it_answers_pings() -> None:
    async def scene() -> None:
        async with (
            FakeVenue(confirm_only, confirm_and_send) as venue,
            FeedHarness(venue, ONE, ping_after_idle_ms=50, no_data_timeout_ms=250) as harness,
        ):
            await harness.wait_for(DepthUpdate)
            assert harness.metric_sum("venue_disconnects_total", reason="no_data") == 1
            assert any("no data" in closed.reason for closed in harness.all(FeedDown))

    on_a_loop(scene())


def test_a_frame_beyond_16_mib_closes_its_connection_and_no_other() -> None:
    async def send_a_giant(venue: FakeVenue, connection: ServerConnection) -> None:
        names = await confirm(venue, connection)
        if names[0].startswith("trades") and len(venue.connections) <= 2:
            await connection.send("x" * (16 * 1024 * 1024 + 1))
        elif names[0].startswith("depth"):
            # The maximum size, and decodable: only blanks inside.
            await connection.send('{"tick":' + " " * (16 * 1024 * 1024 - 10) + "1}")
            await connection.send(venue.next_update("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with (
            FakeVenue(send_a_giant) as venue,
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, trades=True)) as harness,
        ):
            await harness.wait_for(DepthUpdate)
            await harness.wait_for(FeedDown)
            await eventually_async(lambda: _is_last(harness, FeedUp(FAKE_VENUE)))
            assert harness.metric_sum("venue_disconnects_total", reason="too_large") == 1
            assert [issues.kind for issues in harness.data(DecodeIssue)] == [IssueKind.TOO_LARGE]
            assert not harness.all(BookStreamDown)
            assert len(venue.connections) == 3

    on_a_loop(scene())


def test_a_heartbeat_of_the_venue_is_answered_at_once() -> None:
    async def test_us(venue: FakeVenue, connection: ServerConnection) -> None:
        await confirm(venue, connection)
        await connection.send('{"test": 1}')
        await venue.receive(connection)
        await connection.wait_closed()

    async def scene() -> None:
        async with FakeVenue(test_us) as venue:
            # One message in ten seconds: a reply does not wait for that.
            adapter = FakeVenueAdapter(venue, sends_per_second=0.1)
            async with FeedHarness(venue, ONE, adapter=adapter):
                await eventually_async(lambda: _is_true(bool(venue.requests_of("alive"))))

    on_a_loop(scene())


def test_nothing_is_subscribed_before_the_login_is_confirmed() -> None:
    async def require_login(venue: FakeVenue, connection: ServerConnection) -> None:
        assert "hello" in await venue.receive(connection)
        await connection.send('{"hi": 1}')
        await confirm_and_send(venue, connection)

    async def scene() -> None:
        async with (
            FakeVenue(require_login) as venue,
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, requires_login=True)) as harness,
        ):
            await harness.wait_for(DepthUpdate)

    on_a_loop(scene())


def test_a_login_that_is_rejected_permanently_is_reported_and_not_repeated() -> None:
    async def refuse(venue: FakeVenue, connection: ServerConnection) -> None:
        await venue.receive(connection)
        await connection.send('{"no": [], "why": "who are you?", "final": true}')
        await connection.wait_closed()

    async def scene() -> None:
        async with (
            FakeVenue(refuse) as venue,
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, requires_login=True)) as harness,
        ):
            (closed,) = await harness.wait_for(FeedDown)
            assert closed.is_permanent
            (book,) = harness.all(BookStreamDown)
            assert book.is_permanent
            assert ONE in book.reason
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_a_venue_that_announces_a_shutdown_is_reconnected_without_losing_an_update() -> None:
    async def scene() -> None:
        async with FakeVenue(stream_updates) as venue, FeedHarness(venue, ONE, retry_ms_first=250) as harness:
            await harness.wait_for(DepthUpdate, 20)
            await venue.connections[0].send('{"bye": "upgrade"}')
            await eventually_async(
                lambda: _is_true(harness.metric_sum("venue_disconnects_total", reason="replaced") == 1)
            )
            count = len(harness.data(DepthUpdate))
            await harness.wait_for(DepthUpdate, count + 20)
            finals = [change.last_id for change in harness.data(DepthUpdate)]
            assert set(finals) == set(range(finals[0], max(finals) + 1))
            assert harness.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE)]
            assert not harness.all(BookStreamDown)
            assert not harness.all(FeedDown)
            trades = [trade.venue_at_ns for trade in harness.data(Trade)]
            assert len(trades) == len(set(trades))

    on_a_loop(scene())


async def stream_updates(venue: FakeVenue, connection: ServerConnection) -> None:
    """Send the same on every subscribed connection: an update and a trade every few milliseconds."""
    await confirm(venue, connection)
    venue.listeners.append(connection)
    if connection is not venue.connections[0]:
        await connection.wait_closed()
        return
    while not venue.is_over.done():
        await send_updates(venue)
        await asyncio.wait([venue.is_over], timeout=0.003)


async def send_updates(venue: FakeVenue) -> None:
    words = [venue.next_update("one-usd"), json.dumps({"t": "one-usd", "n": venue.last_id})]
    for one in venue.listeners:
        for word in words:
            with suppress(ConnectionClosed):
                await one.send(word)


@pytest.mark.parametrize(("retry_after", "least_ms"), [("1", 950), ("", 950)])
def test_a_rejected_upgrade_waits_as_long_as_the_venue_requests(retry_after: str, least_ms: int) -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            venue.statuses.append((429, {"Retry-After": retry_after} if retry_after else {}))
            async with FeedHarness(venue, ONE) as harness:
                await opened(harness)
                first, second = venue.upgrades_at_ns
                assert second - first >= least_ms * NS_PER_MS
                assert harness.metric_sum("venue_retry_after_total") == 1
                assert "HTTP 429" in harness.all(FeedDown)[0].reason

    on_a_loop(scene())


def test_a_venue_that_does_not_serve_us_is_not_connected_again() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            venue.statuses.append((451, {}))
            async with FeedHarness(venue, ONE) as harness:
                (closed,) = await harness.wait_for(FeedDown)
                assert closed.is_permanent
                assert [book.is_permanent for book in harness.all(BookStreamDown)] == [True]

    on_a_loop(scene())


def test_a_venue_that_keeps_failing_is_paused_then_tried_once() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            venue.statuses += [(500, {})] * 4
            quick = {"retry_ms_first": 1, "retry_ms_max": 1, "breaker_failures_max": 3, "breaker_pause_ms": 300}
            async with FeedHarness(venue, ONE, **quick) as harness:
                await eventually_async(
                    lambda: _is_true(harness.metric_sum("venue_breaker_state", transport="websocket") == 2)
                )
                assert len(venue.upgrades_at_ns) == 3
                await opened(harness)
                third, probe, last = venue.upgrades_at_ns[2:]
                assert probe - third >= 290 * NS_PER_MS
                assert last - probe >= 290 * NS_PER_MS
                assert harness.metric_sum("venue_breaker_state", transport="websocket") == 0

    on_a_loop(scene())


async def snapshots(harness: FeedHarness, count: int) -> Sequence[FeedReply]:
    return await asyncio.gather(*(harness.feed.call(FetchSnapshot(FAKE_VENUE, ONE, 1)) for _ in range(count)))


def test_a_snapshot_is_a_response_and_requested_by_the_venues_symbol() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as harness:
            await opened(harness)
            (snapshot,) = await snapshots(harness, 1)
            assert isinstance(snapshot, DepthSnapshot)
            assert (snapshot.symbol, snapshot.last_id, snapshot.is_pushed) == (ONE, 5, False)
            assert venue.http_requests[-1] == "/book?s=one-usd"
            assert harness.metric_sum("venue_requests_total", outcome="ok") == 2

    on_a_loop(scene())


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (HttpReply(b"oops", 503), "server_error", "HTTP 503: oops"),
        (HttpReply(b"no", 403), "rejected", "HTTP 403"),
        (HttpReply(b"{]"), "malformed", "no image"),
        (HttpReply(b" " * 200_000), "too_large", "more than 100000 bytes"),
        (HttpReply(b"", 302, Location="http://127.0.0.1:9/elsewhere"), "server_error", "HTTP 302"),
    ],
)
def test_every_outcome_of_a_request_is_a_reply(answer: HttpReply, outcome: str, reason: str) -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as harness:
            await opened(harness)
            venue.replies["/book"] = [answer]
            (message,) = await snapshots(harness, 1)
            assert isinstance(message, SnapshotUnavailable)
            assert reason in message.reason
            assert harness.metric_sum("venue_requests_total", outcome=outcome) == 1

    on_a_loop(scene())


def test_a_server_that_does_not_respond_times_out() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as listed:
            await opened(listed)
            server = await asyncio.start_server(swallow, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            away = {"rest_url": f"http://127.0.0.1:{port}", "reply_timeout_ms": 100, "connect_timeout_ms": 100}
            async with server, FeedHarness(venue, ONE, **away) as harness:
                await harness.wait_for(FeedDown)
                assert harness.metric_sum("venue_requests_total", outcome="timeout") >= 1

    on_a_loop(scene())


@pytest.mark.parametrize(
    ("answer", "least_ms", "most_ms"),
    [
        (HttpReply(b"", 429, Retry_After="7"), 6_900, 7_000),
        (HttpReply(b"", 429), 900, 1_000),
        (HttpReply(b"", 418), 59_900, 60_000),
        (HttpReply(b"", 418, Retry_After="120"), 119_900, 120_000),
    ],
)
def test_a_venue_that_asks_for_a_pause_gets_it_for_every_book(answer: HttpReply, least_ms: int, most_ms: int) -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE, TWO) as harness:
            await opened(harness)
            venue.replies["/book"] = [answer, HttpReply(b'{"f": 5}')]
            await snapshots(harness, 1)
            count = len(venue.http_requests)
            message = await harness.feed.call(FetchSnapshot(FAKE_VENUE, TWO, 1))
            assert isinstance(message, SnapshotUnavailable)
            assert least_ms <= message.retry_after_ms <= most_ms
            assert len(venue.http_requests) == count
            assert harness.metric_sum("venue_requests_total", outcome="rate_limited") == 1
            assert harness.metric_sum("venue_requests_total", outcome="retry_after") == 1

    on_a_loop(scene())


def test_weights_are_paced_and_too_many_requests_are_rejected() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            # A snapshot has weight two of a burst of four; then there is one every fifth of a second.
            adapter = FakeVenueAdapter(venue, requests_per_second=10.0, requests_burst=4)
            async with FeedHarness(venue, ONE, adapter=adapter, requests_queued_max=3) as harness:
                await opened(harness)
                started_ns = venue.clock.monotonic_ns()
                message = await snapshots(harness, 8)
                passed_ms = (venue.clock.monotonic_ns() - started_ns) / NS_PER_MS
                found = [one for one in message if isinstance(one, DepthSnapshot)]
                queue_full = [one for one in message if isinstance(one, SnapshotUnavailable)]
                assert len(found) + len(queue_full) == 8
                assert queue_full
                assert all(one.retry_after_ms > 0 for one in queue_full)
                assert passed_ms >= (len(found) - 2) * 200 - 150

    on_a_loop(scene())


def test_requests_to_a_failing_venue_stop_for_a_while() -> None:
    async def scene() -> None:
        async with (
            FakeVenue() as venue,
            FeedHarness(venue, ONE, breaker_failures_max=2, breaker_pause_ms=60_000) as harness,
        ):
            await opened(harness)
            venue.replies["/book"] = [HttpReply(b"", 500)]
            await snapshots(harness, 1)
            await snapshots(harness, 1)
            count = len(venue.http_requests)
            (message,) = await snapshots(harness, 1)
            assert isinstance(message, SnapshotUnavailable)
            assert message.retry_after_ms > 50_000
            assert len(venue.http_requests) == count
            assert harness.metric_sum("venue_breaker_state", transport="rest") == 2

    on_a_loop(scene())


def test_instruments_are_requested_until_they_come() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            good = venue.replies["/instruments"][0]
            venue.replies["/instruments"] = [HttpReply(b"", 500), HttpReply(b"[1, 2", 200), good]
            async with FeedHarness(venue, ONE, retry_ms_first=10) as harness:
                await opened(harness)
                closed = harness.all(FeedDown)
                assert "instruments: HTTP 500" in closed[0].reason
                assert not any(one.is_permanent for one in closed)

    on_a_loop(scene())


def test_the_service_can_request_a_new_subscription_of_a_book() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as harness:
            await opened(harness)
            assert await harness.feed.call(Resubscribe(FAKE_VENUE, ONE, 1)) == Resubscribed()
            await harness.wait_for(DepthUpdate, 2)
            assert venue.requests_of("unsub") == [["depth:one-usd"]]
            assert len(venue.requests_of("sub")) == 2
            assert len(harness.all(BookStreamUp)) == 1
            assert isinstance(await harness.feed.call(Resubscribe(FAKE_VENUE, TWO, 1)), SnapshotUnavailable)

    on_a_loop(scene())
