"""The lines that all crypto venues share, over real sockets, against a toy venue that misbehaves and vanishes."""

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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the loop that a feed runs on
        runner.run(asyncio.wait_for(test, 30))


async def opened(ear: FeedHarness, count: int = 1) -> None:
    await ear.wait_for(FeedUp, count)


async def confirm_many(venue: FakeVenue, connection: ServerConnection, count: int) -> list[str]:
    names: list[str] = []
    while len(names) < count:
        names += await confirm(venue, connection)
    return names


def test_instruments_come_first_then_books_then_their_data_and_the_venue_is_heard() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue) as ear:
            await opened(ear)
            await ear.wait_for(DepthUpdate, 2)
        assert isinstance(ear.delivered[0], InstrumentsLoaded)
        assert [one.symbol for one in ear.delivered[0].instruments] == [ONE, TWO]
        first_data = next(place for place, one in enumerate(ear.delivered) if isinstance(one, DecodedFrame))
        assert ear.delivered.index(BookStreamUp(FAKE_VENUE, ONE)) < first_data
        assert ear.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE), BookStreamUp(FAKE_VENUE, TWO)]
        (framed, *_) = ear.all(DecodedFrame)
        assert framed.parse_ns > 0
        assert framed.bytes_count == len('{"d": "one-usd", "p": 0, "f": 1}')
        assert ear.metric_sum("venue_frames_total") >= 3

    on_a_loop(scene())


def test_topics_are_asked_for_in_chunks_below_the_pace_of_sends() -> None:
    natives = [f"c{number}-usd" for number in range(9)]

    async def scene() -> None:
        async with FakeVenue(natives=natives) as venue:
            dialect = FakeVenueAdapter(venue, topics_per_request=2, sends_per_second=10.0)
            symbols = [f"TOY:{native.upper()}" for native in natives]
            async with FeedHarness(venue, *symbols, adapter=dialect) as ear:
                await opened(ear)
            chunks = venue.requests_of("sub")
            assert [len(chunk) for chunk in chunks] == [2, 2, 2, 2, 1]
            assert sorted(name for chunk in chunks for name in chunk) == sorted(f"depth:{native}" for native in natives)

    on_a_loop(scene())


def test_a_pace_spreads_what_is_more_than_a_burst() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            # Five a second: three at once, the rest spread, so that no second holds more.
            dialect = FakeVenueAdapter(venue, topics_per_request=1, sends_per_second=5.0)
            natives = [f"c{number}-usd" for number in range(4)]
            venue.replies["/instruments"] = [HttpReply(json.dumps(natives).encode())]
            async with FeedHarness(venue, *(f"TOY:{one.upper()}" for one in natives), adapter=dialect) as ear:
                await opened(ear)
            assert venue.received_at_ns[3] - venue.received_at_ns[0] >= 400 * NS_PER_MS

    on_a_loop(scene())


async def cut_after_data(venue: FakeVenue, connection: ServerConnection) -> None:
    await confirm(venue, connection)
    await connection.send(venue.next_update("one-usd"))
    connection.transport.abort()


def test_a_cut_line_is_back_within_a_quarter_of_a_second_and_its_books_are_told() -> None:
    async def scene() -> None:
        async with FakeVenue(cut_after_data, confirm_and_send) as venue, FeedHarness(venue, ONE) as ear:
            await opened(ear, 2)
            first, second = venue.upgrades_at_ns
            assert second - first < 300 * NS_PER_MS
        (closed,) = ear.all(BookStreamDown)
        assert (closed.symbol, closed.is_permanent) == (ONE, False)
        assert [type(one) for one in ear.delivered if isinstance(one, (BookStreamUp, BookStreamDown))] == [
            BookStreamUp,
            BookStreamDown,
            BookStreamUp,
        ]
        assert not ear.all(FeedDown)[0].is_permanent
        assert ear.metric_sum("venue_disconnects_total", reason="closed") == 1

    on_a_loop(scene())


def test_two_lines_are_one_venue_and_the_loss_of_one_leaves_the_others_books_alone() -> None:
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
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, trades=True)) as ear,
        ):
            await ear.wait_for(FeedDown)
            await eventually_async(lambda: _is_last(ear, FeedUp(FAKE_VENUE)))
            assert ear.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE)]
            assert not ear.all(BookStreamDown)

    on_a_loop(scene())


async def _is_last(ear: FeedHarness, message: object) -> bool:
    lines = [one for one in ear.delivered if isinstance(one, (FeedUp, FeedDown))]
    return bool(lines) and lines[-1] == message


def refusing(*bad: str, final: bool = True, names_them: bool = True) -> Script:
    """Refuse whole requests that have a bad topic in them."""

    async def script(venue: FakeVenue, connection: ServerConnection) -> None:
        while True:
            said = await venue.receive(connection)
            if "alive" in said:
                continue
            wrong = [name for name in said["sub"] if name in bad]
            if not wrong:
                await connection.send(json.dumps({"ok": said["sub"], "id": said["id"]}))
                for name in said["sub"]:
                    await connection.send(venue.next_update(name.partition(":")[2]))
                continue
            named = wrong if names_them else []
            await connection.send(json.dumps({"no": named, "id": said["id"], "why": "no such", "final": final}))
            rest = [name for name in said["sub"] if name not in wrong] if names_them else []
            if rest:
                await connection.send(json.dumps({"ok": rest, "id": said["id"]}))

    return script


@pytest.mark.parametrize("names_them", [True, False])
def test_a_symbol_that_is_refused_for_good_is_named_and_never_asked_for_again(names_them: bool) -> None:
    script = refusing("depth:two-usd", names_them=names_them)

    async def scene() -> None:
        async with FakeVenue(script) as venue, FeedHarness(venue, ONE, TWO, THREE) as ear:
            await opened(ear)
            (closed,) = ear.all(BookStreamDown)
            assert closed.is_permanent
            assert TWO in closed.reason
            assert {one.symbol for one in ear.all(BookStreamUp)} == {ONE, THREE}
            asked = [name for chunk in venue.requests_of("sub") for name in chunk]
            venue.connections[0].transport.abort()
            await opened(ear, 2)
            again = [name for chunk in venue.requests_of("sub") for name in chunk][len(asked) :]
            assert sorted(again) == ["depth:one-usd", "depth:three-usd"]
            assert ear.metric_sum("venue_topics_rejected_total", permanent="yes") == 1
            assert len([one for one in ear.all(BookStreamDown) if one.symbol == TWO]) == 1

    on_a_loop(scene())


def test_of_many_that_are_refused_together_the_bad_ones_are_found_by_halving() -> None:
    natives = [f"c{number}-usd" for number in range(16)]
    bad = ("depth:c3-usd", "depth:c11-usd")

    async def scene() -> None:
        async with FakeVenue(refusing(*bad, names_them=False), natives=natives) as venue:
            dialect = FakeVenueAdapter(venue, topics_per_request=16, sends_per_second=200.0)
            async with FeedHarness(venue, *(f"TOY:{one.upper()}" for one in natives), adapter=dialect) as ear:
                await opened(ear)
            assert {one.symbol for one in ear.all(BookStreamDown)} == {"TOY:C3-USD", "TOY:C11-USD"}
            assert len(ear.all(BookStreamUp)) == 14
            assert len(venue.requests_of("sub")) < 20

    on_a_loop(scene())


def test_a_passing_refusal_is_tried_again_on_the_same_line() -> None:
    async def refuse_once(venue: FakeVenue, connection: ServerConnection) -> None:
        said = await venue.receive(connection)
        await connection.send(json.dumps({"no": [], "id": said["id"], "why": "busy", "final": False}))
        await confirm_and_send(venue, connection)

    async def scene() -> None:
        async with FakeVenue(refuse_once) as venue, FeedHarness(venue, ONE) as ear:
            await ear.wait_for(BookStreamUp)
            (closed,) = ear.all(BookStreamDown)
            assert not closed.is_permanent
            assert "busy" in closed.reason
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_an_unlisted_symbol_is_told_once_and_hurts_nobody() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, "TOY:NONE-USD", ONE) as ear:
            await opened(ear)
            (closed,) = ear.all(BookStreamDown)
            assert closed.is_permanent
            assert "TOY:NONE-USD: no such instrument" in closed.reason
            assert venue.requests_of("sub") == [["depth:one-usd"]]

    on_a_loop(scene())


def test_a_frame_that_no_decoder_expects_is_odd_and_the_line_goes_on() -> None:
    async def talk_nonsense(venue: FakeVenue, connection: ServerConnection) -> None:
        await confirm(venue, connection)
        await connection.send("{]")
        await connection.send('{"d": "other-usd", "p": 1, "f": 2}')
        await connection.send(venue.next_update("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with FakeVenue(talk_nonsense) as venue, FeedHarness(venue, ONE) as ear:
            await ear.wait_for(DepthUpdate)
            assert [odd.kind for odd in ear.data(DecodeIssue)] == [IssueKind.MALFORMED, IssueKind.UNLISTED]
            assert ear.metric_sum("venue_decode_issues_total", kind="malformed") == 1
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_a_book_that_is_confirmed_and_silent_is_asked_for_again_on_the_same_line() -> None:
    async def forget_one(venue: FakeVenue, connection: ServerConnection) -> None:
        await confirm_many(venue, connection, 2)
        await connection.send(venue.next_update("two-usd"))
        await confirm_and_send(venue, connection)

    async def scene() -> None:
        async with FakeVenue(forget_one) as venue, FeedHarness(venue, first_data_timeout_ms=200) as ear:
            await eventually_async(lambda: _heard_of(ear, ONE))
            assert venue.requests_of("unsub") == [["depth:one-usd"]]
            assert len(venue.connections) == 1
            assert ear.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE), BookStreamUp(FAKE_VENUE, TWO)]
            assert ear.metric_sum("venue_resubscribes_total") == 1

    on_a_loop(scene())


async def _heard_of(ear: FeedHarness, symbol: str) -> bool:
    return any(change.symbol == symbol for change in ear.data(DepthUpdate))


def test_a_book_that_stays_silent_gets_another_connection_while_the_others_go_on() -> None:
    async def give_only_two(venue: FakeVenue, connection: ServerConnection) -> None:
        while True:
            if "depth:two-usd" in await confirm(venue, connection):
                await connection.send(venue.next_update("two-usd"))

    async def scene() -> None:
        async with (
            FakeVenue(give_only_two, confirm_and_send) as venue,
            FeedHarness(venue, first_data_timeout_ms=100) as ear,
        ):
            await eventually_async(lambda: _heard_of(ear, ONE))
            assert len(venue.connections) == 2
            assert not ear.all(BookStreamDown)
            assert not ear.all(FeedDown)
            await eventually_async(lambda: _is_true(ear.metric_sum("venue_disconnects_total", reason="replaced") == 1))

    on_a_loop(scene())


def test_a_quiet_book_costs_one_try_where_a_second_connection_is_not_wanted() -> None:
    async def give_only_two(venue: FakeVenue, connection: ServerConnection) -> None:
        while True:
            if "depth:two-usd" in await confirm(venue, connection):
                venue.statuses += [(503, {})] * 9
                await connection.send(venue.next_update("two-usd"))

    async def scene() -> None:
        quick = {"first_data_timeout_ms": 50, "retry_ms_first": 1, "retry_ms_max": 1}
        async with FakeVenue(give_only_two) as venue, FeedHarness(venue, **quick) as ear:
            await eventually_async(
                lambda: _is_true(ear.metric_sum("venue_disconnects_total", reason="upgrade_rejected") == 1)
            )
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.3)
            assert len(venue.upgrades_at_ns) == 2
            assert ear.metric_sum("venue_connections_live") == 1
            assert not ear.all(BookStreamDown)

    on_a_loop(scene())


def test_a_dead_quiet_book_is_waited_for_longer_each_time() -> None:
    async def scene() -> None:
        async with FakeVenue(confirm_only) as venue:
            patience = {
                "first_data_timeout_ms": 100,
                "no_data_timeout_ms": 2_000,
                "retry_ms_first": 1,
                "retry_ms_max": 1,
            }
            async with FeedHarness(venue, ONE, **patience) as ear:
                await eventually_async(lambda: _made(venue, 4))
                first, second, third, fourth = venue.upgrades_at_ns[:4]
                assert second - first < third - second < fourth - third
                assert ear.metric_sum("venue_disconnects_total", reason="no_data") == 3

    on_a_loop(scene())


async def _made(venue: FakeVenue, count: int) -> bool:
    return len(venue.connections) >= count


async def hang(venue: FakeVenue, connection: ServerConnection) -> None:
    """Take the connection, then read and say nothing: no confirmation, no pong."""
    await confirm(venue, connection)
    connection.transport.pause_reading()
    await connection.wait_closed()


def test_a_half_open_line_is_left_when_a_ping_is_not_answered() -> None:
    async def scene() -> None:
        async with (
            FakeVenue(hang, confirm_and_send) as venue,
            FeedHarness(venue, ONE, ping_after_idle_ms=100, reply_timeout_ms=300) as ear,
        ):
            await ear.wait_for(DepthUpdate)
            assert ear.metric_sum("venue_disconnects_total", reason="no_pong") == 1

    on_a_loop(scene())


def test_a_quiet_line_that_answers_pings_stays() -> None:
    async def scene() -> None:
        async with (
            FakeVenue(confirm_only) as venue,
            FeedHarness(venue, ONE, ping_after_idle_ms=50, reply_timeout_ms=100) as ear,
        ):
            await opened(ear)
            # Several silences long.
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.5)
            assert ear.metric_sum("venue_connections_live") == 1
            assert len(venue.connections) == 1

    on_a_loop(scene())


async def _is_true(fact: bool) -> bool:
    return fact


def test_a_mute_line_is_made_anew_though_it_answers_pings() -> None:
    async def scene() -> None:
        async with (
            FakeVenue(confirm_only, confirm_and_send) as venue,
            FeedHarness(venue, ONE, ping_after_idle_ms=50, no_data_timeout_ms=250) as ear,
        ):
            await ear.wait_for(DepthUpdate)
            assert ear.metric_sum("venue_disconnects_total", reason="no_data") == 1
            assert any("no data" in closed.reason for closed in ear.all(FeedDown))

    on_a_loop(scene())


def test_a_frame_beyond_16_mib_ends_its_line_and_no_other() -> None:
    async def send_a_giant(venue: FakeVenue, connection: ServerConnection) -> None:
        names = await confirm(venue, connection)
        if names[0].startswith("trades") and len(venue.connections) <= 2:
            await connection.send("x" * (16 * 1024 * 1024 + 1))
        elif names[0].startswith("depth"):
            # As large as may be, and understood: nothing but blanks inside.
            await connection.send('{"tick":' + " " * (16 * 1024 * 1024 - 10) + "1}")
            await connection.send(venue.next_update("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with (
            FakeVenue(send_a_giant) as venue,
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, trades=True)) as ear,
        ):
            await ear.wait_for(DepthUpdate)
            await ear.wait_for(FeedDown)
            await eventually_async(lambda: _is_last(ear, FeedUp(FAKE_VENUE)))
            assert ear.metric_sum("venue_disconnects_total", reason="too_large") == 1
            assert [odd.kind for odd in ear.data(DecodeIssue)] == [IssueKind.TOO_LARGE]
            assert not ear.all(BookStreamDown)
            assert len(venue.connections) == 3

    on_a_loop(scene())


def test_a_test_of_being_alive_is_answered_at_once() -> None:
    async def test_us(venue: FakeVenue, connection: ServerConnection) -> None:
        await confirm(venue, connection)
        await connection.send('{"test": 1}')
        await venue.receive(connection)
        await connection.wait_closed()

    async def scene() -> None:
        async with FakeVenue(test_us) as venue:
            # One message in ten seconds: an answer does not wait for that.
            dialect = FakeVenueAdapter(venue, sends_per_second=0.1)
            async with FeedHarness(venue, ONE, adapter=dialect):
                await eventually_async(lambda: _is_true(bool(venue.requests_of("alive"))))

    on_a_loop(scene())


def test_nothing_is_asked_before_the_venue_lets_us_in() -> None:
    async def greet(venue: FakeVenue, connection: ServerConnection) -> None:
        assert "hello" in await venue.receive(connection)
        await connection.send('{"hi": 1}')
        await confirm_and_send(venue, connection)

    async def scene() -> None:
        async with (
            FakeVenue(greet) as venue,
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, requires_login=True)) as ear,
        ):
            await ear.wait_for(DepthUpdate)

    on_a_loop(scene())


def test_a_login_that_is_refused_for_good_is_told_and_not_repeated() -> None:
    async def refuse(venue: FakeVenue, connection: ServerConnection) -> None:
        await venue.receive(connection)
        await connection.send('{"no": [], "why": "who are you?", "final": true}')
        await connection.wait_closed()

    async def scene() -> None:
        async with (
            FakeVenue(refuse) as venue,
            FeedHarness(venue, ONE, adapter=FakeVenueAdapter(venue, requires_login=True)) as ear,
        ):
            (closed,) = await ear.wait_for(FeedDown)
            assert closed.is_permanent
            (book,) = ear.all(BookStreamDown)
            assert book.is_permanent
            assert ONE in book.reason
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_a_venue_that_leaves_is_followed_without_losing_a_change() -> None:
    async def scene() -> None:
        async with FakeVenue(pouring) as venue, FeedHarness(venue, ONE, retry_ms_first=250) as ear:
            await ear.wait_for(DepthUpdate, 20)
            await venue.connections[0].send('{"bye": "upgrade"}')
            await eventually_async(lambda: _is_true(ear.metric_sum("venue_disconnects_total", reason="replaced") == 1))
            count = len(ear.data(DepthUpdate))
            await ear.wait_for(DepthUpdate, count + 20)
            finals = [change.last_id for change in ear.data(DepthUpdate)]
            assert set(finals) == set(range(finals[0], max(finals) + 1))
            assert ear.all(BookStreamUp) == [BookStreamUp(FAKE_VENUE, ONE)]
            assert not ear.all(BookStreamDown)
            assert not ear.all(FeedDown)
            trades = [trade.venue_at_ns for trade in ear.data(Trade)]
            assert len(trades) == len(set(trades))

    on_a_loop(scene())


async def pouring(venue: FakeVenue, connection: ServerConnection) -> None:
    """Say the same on every connection that asked: a change and a trade every few milliseconds."""
    await confirm(venue, connection)
    venue.listeners.append(connection)
    if connection is not venue.connections[0]:
        await connection.wait_closed()
        return
    while not venue.is_over.done():
        await pour(venue)
        await asyncio.wait([venue.is_over], timeout=0.003)


async def pour(venue: FakeVenue) -> None:
    words = [venue.next_update("one-usd"), json.dumps({"t": "one-usd", "n": venue.last_id})]
    for one in venue.listeners:
        for word in words:
            with suppress(ConnectionClosed):
                await one.send(word)


@pytest.mark.parametrize(("retry_after", "least_ms"), [("1", 950), ("", 950)])
def test_an_upgrade_that_is_turned_away_waits_as_the_venue_says(retry_after: str, least_ms: int) -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            venue.statuses.append((429, {"Retry-After": retry_after} if retry_after else {}))
            async with FeedHarness(venue, ONE) as ear:
                await opened(ear)
                first, second = venue.upgrades_at_ns
                assert second - first >= least_ms * NS_PER_MS
                assert ear.metric_sum("venue_retry_after_total") == 1
                assert "HTTP 429" in ear.all(FeedDown)[0].reason

    on_a_loop(scene())


def test_a_venue_that_does_not_serve_us_is_not_asked_again() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            venue.statuses.append((451, {}))
            async with FeedHarness(venue, ONE) as ear:
                (closed,) = await ear.wait_for(FeedDown)
                assert closed.is_permanent
                assert [book.is_permanent for book in ear.all(BookStreamDown)] == [True]

    on_a_loop(scene())


def test_a_venue_that_keeps_failing_is_left_alone_then_tried_once() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            venue.statuses += [(500, {})] * 4
            quick = {"retry_ms_first": 1, "retry_ms_max": 1, "breaker_failures_max": 3, "breaker_pause_ms": 300}
            async with FeedHarness(venue, ONE, **quick) as ear:
                await eventually_async(
                    lambda: _is_true(ear.metric_sum("venue_breaker_state", transport="websocket") == 2)
                )
                assert len(venue.upgrades_at_ns) == 3
                await opened(ear)
                third, probe, last = venue.upgrades_at_ns[2:]
                assert probe - third >= 290 * NS_PER_MS
                assert last - probe >= 290 * NS_PER_MS
                assert ear.metric_sum("venue_breaker_state", transport="websocket") == 0

    on_a_loop(scene())


async def images(ear: FeedHarness, count: int) -> Sequence[FeedReply]:
    return await asyncio.gather(*(ear.feed.call(FetchSnapshot(FAKE_VENUE, ONE, 1)) for _ in range(count)))


def test_an_image_is_an_answer_and_the_book_is_asked_for_by_its_own_name() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as ear:
            await opened(ear)
            (image,) = await images(ear, 1)
            assert isinstance(image, DepthSnapshot)
            assert (image.symbol, image.last_id, image.is_pushed) == (ONE, 5, False)
            assert venue.http_requests[-1] == "/book?s=one-usd"
            assert ear.metric_sum("venue_requests_total", outcome="ok") == 2

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
def test_what_may_happen_to_a_request_is_an_answer(answer: HttpReply, outcome: str, reason: str) -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as ear:
            await opened(ear)
            venue.replies["/book"] = [answer]
            (said,) = await images(ear, 1)
            assert isinstance(said, SnapshotUnavailable)
            assert reason in said.reason
            assert ear.metric_sum("venue_requests_total", outcome=outcome) == 1

    on_a_loop(scene())


def test_a_server_that_answers_nothing_is_given_up_in_time() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as listed:
            await opened(listed)
            server = await asyncio.start_server(swallow, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            away = {"rest_url": f"http://127.0.0.1:{port}", "reply_timeout_ms": 100, "connect_timeout_ms": 100}
            async with server, FeedHarness(venue, ONE, **away) as ear:
                await ear.wait_for(FeedDown)
                assert ear.metric_sum("venue_requests_total", outcome="timeout") >= 1

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
def test_a_venue_that_wants_to_be_left_alone_is_left_alone_for_every_book(
    answer: HttpReply, least_ms: int, most_ms: int
) -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE, TWO) as ear:
            await opened(ear)
            venue.replies["/book"] = [answer, HttpReply(b'{"f": 5}')]
            await images(ear, 1)
            count = len(venue.http_requests)
            said = await ear.feed.call(FetchSnapshot(FAKE_VENUE, TWO, 1))
            assert isinstance(said, SnapshotUnavailable)
            assert least_ms <= said.retry_after_ms <= most_ms
            assert len(venue.http_requests) == count
            assert ear.metric_sum("venue_requests_total", outcome="rate_limited") == 1
            assert ear.metric_sum("venue_requests_total", outcome="retry_after") == 1

    on_a_loop(scene())


def test_weights_are_paced_and_too_many_are_sent_away() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            # An image weighs two of a burst of four; then there is one every fifth of a second.
            dialect = FakeVenueAdapter(venue, requests_per_second=10.0, requests_burst=4)
            async with FeedHarness(venue, ONE, adapter=dialect, requests_queued_max=3) as ear:
                await opened(ear)
                begun_ns = venue.clock.monotonic_ns()
                said = await images(ear, 8)
                passed_ms = (venue.clock.monotonic_ns() - begun_ns) / NS_PER_MS
                found = [one for one in said if isinstance(one, DepthSnapshot)]
                crowded = [one for one in said if isinstance(one, SnapshotUnavailable)]
                assert len(found) + len(crowded) == 8
                assert crowded
                assert all(one.retry_after_ms > 0 for one in crowded)
                assert passed_ms >= (len(found) - 2) * 200 - 150

    on_a_loop(scene())


def test_requests_to_a_failing_venue_stop_for_a_while() -> None:
    async def scene() -> None:
        async with (
            FakeVenue() as venue,
            FeedHarness(venue, ONE, breaker_failures_max=2, breaker_pause_ms=60_000) as ear,
        ):
            await opened(ear)
            venue.replies["/book"] = [HttpReply(b"", 500)]
            await images(ear, 1)
            await images(ear, 1)
            count = len(venue.http_requests)
            (said,) = await images(ear, 1)
            assert isinstance(said, SnapshotUnavailable)
            assert said.retry_after_ms > 50_000
            assert len(venue.http_requests) == count
            assert ear.metric_sum("venue_breaker_state", transport="rest") == 2

    on_a_loop(scene())


def test_instruments_are_asked_for_until_they_come() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue:
            good = venue.replies["/instruments"][0]
            venue.replies["/instruments"] = [HttpReply(b"", 500), HttpReply(b"[1, 2", 200), good]
            async with FeedHarness(venue, ONE, retry_ms_first=10) as ear:
                await opened(ear)
                closed = ear.all(FeedDown)
                assert "instruments: HTTP 500" in closed[0].reason
                assert not any(one.is_permanent for one in closed)

    on_a_loop(scene())


def test_a_book_can_be_asked_for_anew_by_the_service() -> None:
    async def scene() -> None:
        async with FakeVenue() as venue, FeedHarness(venue, ONE) as ear:
            await opened(ear)
            assert await ear.feed.call(Resubscribe(FAKE_VENUE, ONE, 1)) == Resubscribed()
            await ear.wait_for(DepthUpdate, 2)
            assert venue.requests_of("unsub") == [["depth:one-usd"]]
            assert len(venue.requests_of("sub")) == 2
            assert len(ear.all(BookStreamUp)) == 1
            assert isinstance(await ear.feed.call(Resubscribe(FAKE_VENUE, TWO, 1)), SnapshotUnavailable)

    on_a_loop(scene())
