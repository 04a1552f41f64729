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
from components.market_data.core.changes import DepthChange, DepthImage
from components.market_data.core.feed import (
    BookClosed,
    BookOpened,
    FeedAnswer,
    FetchImage,
    Framed,
    LineClosed,
    LineOpened,
    Listed,
    NoImage,
    Odd,
    Oddity,
    Resubscribe,
    Resubscribed,
)
from tests.support.eventually import eventually_async
from tests.support.toy_venue import (
    ONE,
    THREE,
    TOY,
    TWO,
    Answer,
    Script,
    ToyDialect,
    ToyEar,
    ToyVenue,
    be_good,
    be_quiet,
    confirm,
)

pytestmark = pytest.mark.integration

NS_PER_MS = 1_000_000


def on_a_loop(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the loop that a feed runs on
        runner.run(asyncio.wait_for(test, 30))


async def opened(ear: ToyEar, count: int = 1) -> None:
    await ear.hears(LineOpened, count)


async def confirm_many(venue: ToyVenue, connection: ServerConnection, count: int) -> list[str]:
    names: list[str] = []
    while len(names) < count:
        names += await confirm(venue, connection)
    return names


def test_instruments_come_first_then_books_then_their_data_and_the_venue_is_heard() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue) as ear:
            await opened(ear)
            await ear.hears(DepthChange, 2)
        assert isinstance(ear.told[0], Listed)
        assert [one.symbol for one in ear.told[0].instruments] == [ONE, TWO]
        first_data = next(place for place, one in enumerate(ear.told) if isinstance(one, Framed))
        assert ear.told.index(BookOpened(TOY, ONE)) < first_data
        assert ear.all(BookOpened) == [BookOpened(TOY, ONE), BookOpened(TOY, TWO)]
        (framed, *_) = ear.all(Framed)
        assert framed.parse_ns > 0
        assert framed.bytes_count == len('{"d": "one-usd", "p": 0, "f": 1}')
        assert ear.counted("venue_frames_total") >= 3

    on_a_loop(scene())


def test_topics_are_asked_for_in_chunks_below_the_pace_of_sends() -> None:
    natives = [f"c{number}-usd" for number in range(9)]

    async def scene() -> None:
        async with ToyVenue(natives=natives) as venue:
            dialect = ToyDialect(venue, topics_per_request=2, sends_per_second=10.0)
            symbols = [f"TOY:{native.upper()}" for native in natives]
            async with ToyEar(venue, *symbols, dialect=dialect) as ear:
                await opened(ear)
            chunks = venue.said("sub")
            assert [len(chunk) for chunk in chunks] == [2, 2, 2, 2, 1]
            assert sorted(name for chunk in chunks for name in chunk) == sorted(f"depth:{native}" for native in natives)

    on_a_loop(scene())


def test_a_pace_spreads_what_is_more_than_a_burst() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue:
            # Five a second: three at once, the rest spread, so that no second holds more.
            dialect = ToyDialect(venue, topics_per_request=1, sends_per_second=5.0)
            natives = [f"c{number}-usd" for number in range(4)]
            venue.answers["/instruments"] = [Answer(json.dumps(natives).encode())]
            async with ToyEar(venue, *(f"TOY:{one.upper()}" for one in natives), dialect=dialect) as ear:
                await opened(ear)
            assert venue.heard_at_ns[3] - venue.heard_at_ns[0] >= 400 * NS_PER_MS

    on_a_loop(scene())


async def cut_after_data(venue: ToyVenue, connection: ServerConnection) -> None:
    await confirm(venue, connection)
    await connection.send(venue.change("one-usd"))
    connection.transport.abort()


def test_a_cut_line_is_back_within_a_quarter_of_a_second_and_its_books_are_told() -> None:
    async def scene() -> None:
        async with ToyVenue(cut_after_data, be_good) as venue, ToyEar(venue, ONE) as ear:
            await opened(ear, 2)
            first, second = venue.upgrades_at_ns
            assert second - first < 300 * NS_PER_MS
        (closed,) = ear.all(BookClosed)
        assert (closed.symbol, closed.final) == (ONE, False)
        assert [type(one) for one in ear.told if isinstance(one, (BookOpened, BookClosed))] == [
            BookOpened,
            BookClosed,
            BookOpened,
        ]
        assert not ear.all(LineClosed)[0].final
        assert ear.counted("venue_drops_total", ending="closed") == 1

    on_a_loop(scene())


def test_two_lines_are_one_venue_and_the_loss_of_one_leaves_the_others_books_alone() -> None:
    async def cut_trades(venue: ToyVenue, connection: ServerConnection) -> None:
        names = await confirm(venue, connection)
        if names[0].startswith("trades") and len(venue.connections) <= 2:
            connection.transport.abort()
            return
        await connection.send(venue.change("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with ToyVenue(cut_trades) as venue, ToyEar(venue, ONE, dialect=ToyDialect(venue, trades=True)) as ear:
            await ear.hears(LineClosed)
            await eventually_async(lambda: _is_last(ear, LineOpened(TOY)))
            assert ear.all(BookOpened) == [BookOpened(TOY, ONE)]
            assert not ear.all(BookClosed)

    on_a_loop(scene())


async def _is_last(ear: ToyEar, message: object) -> bool:
    lines = [one for one in ear.told if isinstance(one, (LineOpened, LineClosed))]
    return bool(lines) and lines[-1] == message


def refusing(*bad: str, final: bool = True, names_them: bool = True) -> Script:
    """Refuse whole requests that have a bad topic in them."""

    async def script(venue: ToyVenue, connection: ServerConnection) -> None:
        while True:
            said = await venue.listen(connection)
            if "alive" in said:
                continue
            wrong = [name for name in said["sub"] if name in bad]
            if not wrong:
                await connection.send(json.dumps({"ok": said["sub"], "id": said["id"]}))
                for name in said["sub"]:
                    await connection.send(venue.change(name.partition(":")[2]))
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
        async with ToyVenue(script) as venue, ToyEar(venue, ONE, TWO, THREE) as ear:
            await opened(ear)
            (closed,) = ear.all(BookClosed)
            assert closed.final
            assert TWO in closed.reason
            assert {one.symbol for one in ear.all(BookOpened)} == {ONE, THREE}
            asked = [name for chunk in venue.said("sub") for name in chunk]
            venue.connections[0].transport.abort()
            await opened(ear, 2)
            again = [name for chunk in venue.said("sub") for name in chunk][len(asked) :]
            assert sorted(again) == ["depth:one-usd", "depth:three-usd"]
            assert ear.counted("venue_refused_total", permanent="yes") == 1
            assert len([one for one in ear.all(BookClosed) if one.symbol == TWO]) == 1

    on_a_loop(scene())


def test_of_many_that_are_refused_together_the_bad_ones_are_found_by_halving() -> None:
    natives = [f"c{number}-usd" for number in range(16)]
    bad = ("depth:c3-usd", "depth:c11-usd")

    async def scene() -> None:
        async with ToyVenue(refusing(*bad, names_them=False), natives=natives) as venue:
            dialect = ToyDialect(venue, topics_per_request=16, sends_per_second=200.0)
            async with ToyEar(venue, *(f"TOY:{one.upper()}" for one in natives), dialect=dialect) as ear:
                await opened(ear)
            assert {one.symbol for one in ear.all(BookClosed)} == {"TOY:C3-USD", "TOY:C11-USD"}
            assert len(ear.all(BookOpened)) == 14
            assert len(venue.said("sub")) < 20

    on_a_loop(scene())


def test_a_passing_refusal_is_tried_again_on_the_same_line() -> None:
    async def refuse_once(venue: ToyVenue, connection: ServerConnection) -> None:
        said = await venue.listen(connection)
        await connection.send(json.dumps({"no": [], "id": said["id"], "why": "busy", "final": False}))
        await be_good(venue, connection)

    async def scene() -> None:
        async with ToyVenue(refuse_once) as venue, ToyEar(venue, ONE) as ear:
            await ear.hears(BookOpened)
            (closed,) = ear.all(BookClosed)
            assert not closed.final
            assert "busy" in closed.reason
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_an_unlisted_symbol_is_told_once_and_hurts_nobody() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue, "TOY:NONE-USD", ONE) as ear:
            await opened(ear)
            (closed,) = ear.all(BookClosed)
            assert closed.final
            assert "TOY:NONE-USD: no such instrument" in closed.reason
            assert venue.said("sub") == [["depth:one-usd"]]

    on_a_loop(scene())


def test_a_frame_that_no_decoder_expects_is_odd_and_the_line_goes_on() -> None:
    async def talk_nonsense(venue: ToyVenue, connection: ServerConnection) -> None:
        await confirm(venue, connection)
        await connection.send("{]")
        await connection.send('{"d": "other-usd", "p": 1, "f": 2}')
        await connection.send(venue.change("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with ToyVenue(talk_nonsense) as venue, ToyEar(venue, ONE) as ear:
            await ear.hears(DepthChange)
            assert [odd.kind for odd in ear.data(Odd)] == [Oddity.MALFORMED, Oddity.UNLISTED]
            assert ear.counted("venue_oddities_total", kind="malformed") == 1
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_a_book_that_is_confirmed_and_silent_is_asked_for_again_on_the_same_line() -> None:
    async def forget_one(venue: ToyVenue, connection: ServerConnection) -> None:
        await confirm_many(venue, connection, 2)
        await connection.send(venue.change("two-usd"))
        await be_good(venue, connection)

    async def scene() -> None:
        async with ToyVenue(forget_one) as venue, ToyEar(venue, first_data_ms_max=200) as ear:
            await eventually_async(lambda: _heard_of(ear, ONE))
            assert venue.said("unsub") == [["depth:one-usd"]]
            assert len(venue.connections) == 1
            assert ear.all(BookOpened) == [BookOpened(TOY, ONE), BookOpened(TOY, TWO)]
            assert ear.counted("venue_resubscribes_total") == 1

    on_a_loop(scene())


async def _heard_of(ear: ToyEar, symbol: str) -> bool:
    return any(change.symbol == symbol for change in ear.data(DepthChange))


def test_a_book_that_stays_silent_gets_another_connection_while_the_others_go_on() -> None:
    async def give_only_two(venue: ToyVenue, connection: ServerConnection) -> None:
        while True:
            if "depth:two-usd" in await confirm(venue, connection):
                await connection.send(venue.change("two-usd"))

    async def scene() -> None:
        async with ToyVenue(give_only_two, be_good) as venue, ToyEar(venue, first_data_ms_max=100) as ear:
            await eventually_async(lambda: _heard_of(ear, ONE))
            assert len(venue.connections) == 2
            assert not ear.all(BookClosed)
            assert not ear.all(LineClosed)
            await eventually_async(lambda: _is_true(ear.counted("venue_drops_total", ending="replaced") == 1))

    on_a_loop(scene())


def test_a_quiet_book_costs_one_try_where_a_second_connection_is_not_wanted() -> None:
    async def give_only_two(venue: ToyVenue, connection: ServerConnection) -> None:
        while True:
            if "depth:two-usd" in await confirm(venue, connection):
                venue.statuses += [(503, {})] * 9
                await connection.send(venue.change("two-usd"))

    async def scene() -> None:
        quick = {"first_data_ms_max": 50, "retry_ms_first": 1, "retry_ms_max": 1}
        async with ToyVenue(give_only_two) as venue, ToyEar(venue, **quick) as ear:
            await eventually_async(lambda: _is_true(ear.counted("venue_drops_total", ending="turned_away") == 1))
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.3)
            assert len(venue.upgrades_at_ns) == 2
            assert ear.counted("venue_lines_live") == 1
            assert not ear.all(BookClosed)

    on_a_loop(scene())


def test_a_dead_quiet_book_is_waited_for_longer_each_time() -> None:
    async def scene() -> None:
        async with ToyVenue(be_quiet) as venue:
            patience = {"first_data_ms_max": 100, "mute_ms_max": 2_000, "retry_ms_first": 1, "retry_ms_max": 1}
            async with ToyEar(venue, ONE, **patience) as ear:
                await eventually_async(lambda: _made(venue, 4))
                first, second, third, fourth = venue.upgrades_at_ns[:4]
                assert second - first < third - second < fourth - third
                assert ear.counted("venue_drops_total", ending="mute") == 3

    on_a_loop(scene())


async def _made(venue: ToyVenue, count: int) -> bool:
    return len(venue.connections) >= count


async def hang(venue: ToyVenue, connection: ServerConnection) -> None:
    """Take the connection, then read and say nothing: no confirmation, no pong."""
    await confirm(venue, connection)
    connection.transport.pause_reading()
    await connection.wait_closed()


def test_a_half_open_line_is_left_when_a_ping_is_not_answered() -> None:
    async def scene() -> None:
        async with ToyVenue(hang, be_good) as venue, ToyEar(venue, ONE, silence_ms_max=100, answer_ms_max=300) as ear:
            await ear.hears(DepthChange)
            assert ear.counted("venue_drops_total", ending="silent") == 1

    on_a_loop(scene())


def test_a_quiet_line_that_answers_pings_stays() -> None:
    async def scene() -> None:
        async with ToyVenue(be_quiet) as venue, ToyEar(venue, ONE, silence_ms_max=50, answer_ms_max=100) as ear:
            await opened(ear)
            # Several silences long.
            await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=0.5)
            assert ear.counted("venue_lines_live") == 1
            assert len(venue.connections) == 1

    on_a_loop(scene())


async def _is_true(fact: bool) -> bool:
    return fact


def test_a_mute_line_is_made_anew_though_it_answers_pings() -> None:
    async def scene() -> None:
        async with ToyVenue(be_quiet, be_good) as venue, ToyEar(venue, ONE, silence_ms_max=50, mute_ms_max=250) as ear:
            await ear.hears(DepthChange)
            assert ear.counted("venue_drops_total", ending="mute") == 1
            assert any("no data" in closed.reason for closed in ear.all(LineClosed))

    on_a_loop(scene())


def test_a_frame_beyond_16_mib_ends_its_line_and_no_other() -> None:
    async def send_a_giant(venue: ToyVenue, connection: ServerConnection) -> None:
        names = await confirm(venue, connection)
        if names[0].startswith("trades") and len(venue.connections) <= 2:
            await connection.send("x" * (16 * 1024 * 1024 + 1))
        elif names[0].startswith("depth"):
            # As large as may be, and understood: nothing but blanks inside.
            await connection.send('{"tick":' + " " * (16 * 1024 * 1024 - 10) + "1}")
            await connection.send(venue.change("one-usd"))
        await connection.wait_closed()

    async def scene() -> None:
        async with ToyVenue(send_a_giant) as venue, ToyEar(venue, ONE, dialect=ToyDialect(venue, trades=True)) as ear:
            await ear.hears(DepthChange)
            await ear.hears(LineClosed)
            await eventually_async(lambda: _is_last(ear, LineOpened(TOY)))
            assert ear.counted("venue_drops_total", ending="too_large") == 1
            assert [odd.kind for odd in ear.data(Odd)] == [Oddity.TOO_LARGE]
            assert not ear.all(BookClosed)
            assert len(venue.connections) == 3

    on_a_loop(scene())


def test_a_test_of_being_alive_is_answered_at_once() -> None:
    async def test_us(venue: ToyVenue, connection: ServerConnection) -> None:
        await confirm(venue, connection)
        await connection.send('{"test": 1}')
        await venue.listen(connection)
        await connection.wait_closed()

    async def scene() -> None:
        async with ToyVenue(test_us) as venue:
            # One message in ten seconds: an answer does not wait for that.
            dialect = ToyDialect(venue, sends_per_second=0.1)
            async with ToyEar(venue, ONE, dialect=dialect):
                await eventually_async(lambda: _is_true(bool(venue.said("alive"))))

    on_a_loop(scene())


def test_nothing_is_asked_before_the_venue_lets_us_in() -> None:
    async def greet(venue: ToyVenue, connection: ServerConnection) -> None:
        assert "hello" in await venue.listen(connection)
        await connection.send('{"hi": 1}')
        await be_good(venue, connection)

    async def scene() -> None:
        async with ToyVenue(greet) as venue, ToyEar(venue, ONE, dialect=ToyDialect(venue, greets=True)) as ear:
            await ear.hears(DepthChange)

    on_a_loop(scene())


def test_a_login_that_is_refused_for_good_is_told_and_not_repeated() -> None:
    async def refuse(venue: ToyVenue, connection: ServerConnection) -> None:
        await venue.listen(connection)
        await connection.send('{"no": [], "why": "who are you?", "final": true}')
        await connection.wait_closed()

    async def scene() -> None:
        async with ToyVenue(refuse) as venue, ToyEar(venue, ONE, dialect=ToyDialect(venue, greets=True)) as ear:
            (closed,) = await ear.hears(LineClosed)
            assert closed.final
            (book,) = ear.all(BookClosed)
            assert book.final
            assert ONE in book.reason
            assert len(venue.connections) == 1

    on_a_loop(scene())


def test_a_venue_that_leaves_is_followed_without_losing_a_change() -> None:
    async def scene() -> None:
        async with ToyVenue(pouring) as venue, ToyEar(venue, ONE, retry_ms_first=250) as ear:
            await ear.hears(DepthChange, 20)
            await venue.connections[0].send('{"bye": "upgrade"}')
            await eventually_async(lambda: _is_true(ear.counted("venue_drops_total", ending="replaced") == 1))
            count = len(ear.data(DepthChange))
            await ear.hears(DepthChange, count + 20)
            finals = [change.final for change in ear.data(DepthChange)]
            assert set(finals) == set(range(finals[0], max(finals) + 1))
            assert ear.all(BookOpened) == [BookOpened(TOY, ONE)]
            assert not ear.all(BookClosed)
            assert not ear.all(LineClosed)
            trades = [trade.venue_at_ns for trade in ear.data(Trade)]
            assert len(trades) == len(set(trades))

    on_a_loop(scene())


async def pouring(venue: ToyVenue, connection: ServerConnection) -> None:
    """Say the same on every connection that asked: a change and a trade every few milliseconds."""
    await confirm(venue, connection)
    venue.listeners.append(connection)
    if connection is not venue.connections[0]:
        await connection.wait_closed()
        return
    while not venue.is_over.done():
        await pour(venue)
        await asyncio.wait([venue.is_over], timeout=0.003)


async def pour(venue: ToyVenue) -> None:
    words = [venue.change("one-usd"), json.dumps({"t": "one-usd", "n": venue.final})]
    for one in venue.listeners:
        for word in words:
            with suppress(ConnectionClosed):
                await one.send(word)


@pytest.mark.parametrize(("retry_after", "least_ms"), [("1", 950), ("", 950)])
def test_an_upgrade_that_is_turned_away_waits_as_the_venue_says(retry_after: str, least_ms: int) -> None:
    async def scene() -> None:
        async with ToyVenue() as venue:
            venue.statuses.append((429, {"Retry-After": retry_after} if retry_after else {}))
            async with ToyEar(venue, ONE) as ear:
                await opened(ear)
                first, second = venue.upgrades_at_ns
                assert second - first >= least_ms * NS_PER_MS
                assert ear.counted("venue_retry_after_total") == 1
                assert "HTTP 429" in ear.all(LineClosed)[0].reason

    on_a_loop(scene())


def test_a_venue_that_does_not_serve_us_is_not_asked_again() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue:
            venue.statuses.append((451, {}))
            async with ToyEar(venue, ONE) as ear:
                (closed,) = await ear.hears(LineClosed)
                assert closed.final
                assert [book.final for book in ear.all(BookClosed)] == [True]

    on_a_loop(scene())


def test_a_venue_that_keeps_failing_is_left_alone_then_tried_once() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue:
            venue.statuses += [(500, {})] * 4
            quick = {"retry_ms_first": 1, "retry_ms_max": 1, "breaker_failures_max": 3, "breaker_pause_ms": 300}
            async with ToyEar(venue, ONE, **quick) as ear:
                await eventually_async(lambda: _is_true(ear.counted("venue_breaker_state", door="stream") == 2))
                assert len(venue.upgrades_at_ns) == 3
                await opened(ear)
                third, probe, last = venue.upgrades_at_ns[2:]
                assert probe - third >= 290 * NS_PER_MS
                assert last - probe >= 290 * NS_PER_MS
                assert ear.counted("venue_breaker_state", door="stream") == 0

    on_a_loop(scene())


async def images(ear: ToyEar, count: int) -> Sequence[FeedAnswer]:
    return await asyncio.gather(*(ear.feed.call(FetchImage(TOY, ONE, 1)) for _ in range(count)))


def test_an_image_is_an_answer_and_the_book_is_asked_for_by_its_own_name() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue, ONE) as ear:
            await opened(ear)
            (image,) = await images(ear, 1)
            assert isinstance(image, DepthImage)
            assert (image.symbol, image.final, image.is_pushed) == (ONE, 5, False)
            assert venue.asked[-1] == "/book?s=one-usd"
            assert ear.counted("venue_requests_total", outcome="answered") == 2

    on_a_loop(scene())


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (Answer(b"oops", 503), "failed", "HTTP 503: oops"),
        (Answer(b"no", 403), "refused", "HTTP 403"),
        (Answer(b"{]"), "malformed", "no image"),
        (Answer(b" " * 200_000), "too_large", "more than 100000 bytes"),
        (Answer(b"", 302, Location="http://127.0.0.1:9/elsewhere"), "failed", "HTTP 302"),
    ],
)
def test_what_may_happen_to_a_request_is_an_answer(answer: Answer, outcome: str, reason: str) -> None:
    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue, ONE) as ear:
            await opened(ear)
            venue.answers["/book"] = [answer]
            (said,) = await images(ear, 1)
            assert isinstance(said, NoImage)
            assert reason in said.reason
            assert ear.counted("venue_requests_total", outcome=outcome) == 1

    on_a_loop(scene())


def test_a_server_that_answers_nothing_is_given_up_in_time() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue, ONE) as listed:
            await opened(listed)
            server = await asyncio.start_server(swallow, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            away = {"rest_url": f"http://127.0.0.1:{port}", "answer_ms_max": 100, "connect_ms_max": 100}
            async with server, ToyEar(venue, ONE, **away) as ear:
                await ear.hears(LineClosed)
                assert ear.counted("venue_requests_total", outcome="too_late") >= 1

    on_a_loop(scene())


@pytest.mark.parametrize(
    ("answer", "least_ms", "most_ms"),
    [
        (Answer(b"", 429, Retry_After="7"), 6_900, 7_000),
        (Answer(b"", 429), 900, 1_000),
        (Answer(b"", 418), 59_900, 60_000),
        (Answer(b"", 418, Retry_After="120"), 119_900, 120_000),
    ],
)
def test_a_venue_that_wants_to_be_left_alone_is_left_alone_for_every_book(
    answer: Answer, least_ms: int, most_ms: int
) -> None:
    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue, ONE, TWO) as ear:
            await opened(ear)
            venue.answers["/book"] = [answer, Answer(b'{"f": 5}')]
            await images(ear, 1)
            count = len(venue.asked)
            said = await ear.feed.call(FetchImage(TOY, TWO, 1))
            assert isinstance(said, NoImage)
            assert least_ms <= said.wait_ms <= most_ms
            assert len(venue.asked) == count
            assert ear.counted("venue_requests_total", outcome="throttled") == 1
            assert ear.counted("venue_requests_total", outcome="held") == 1

    on_a_loop(scene())


def test_weights_are_paced_and_too_many_are_sent_away() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue:
            # An image weighs two of a burst of four; then there is one every fifth of a second.
            dialect = ToyDialect(venue, requests_per_second=10.0, requests_burst=4)
            async with ToyEar(venue, ONE, dialect=dialect, requests_waiting_max=3) as ear:
                await opened(ear)
                begun_ns = venue.clock.monotonic_ns()
                said = await images(ear, 8)
                passed_ms = (venue.clock.monotonic_ns() - begun_ns) / NS_PER_MS
                found = [one for one in said if isinstance(one, DepthImage)]
                crowded = [one for one in said if isinstance(one, NoImage)]
                assert len(found) + len(crowded) == 8
                assert crowded
                assert all(one.wait_ms > 0 for one in crowded)
                assert passed_ms >= (len(found) - 2) * 200 - 150

    on_a_loop(scene())


def test_requests_to_a_failing_venue_stop_for_a_while() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue, ONE, breaker_failures_max=2, breaker_pause_ms=60_000) as ear:
            await opened(ear)
            venue.answers["/book"] = [Answer(b"", 500)]
            await images(ear, 1)
            await images(ear, 1)
            count = len(venue.asked)
            (said,) = await images(ear, 1)
            assert isinstance(said, NoImage)
            assert said.wait_ms > 50_000
            assert len(venue.asked) == count
            assert ear.counted("venue_breaker_state", door="requests") == 2

    on_a_loop(scene())


def test_instruments_are_asked_for_until_they_come() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue:
            good = venue.answers["/instruments"][0]
            venue.answers["/instruments"] = [Answer(b"", 500), Answer(b"[1, 2", 200), good]
            async with ToyEar(venue, ONE, retry_ms_first=10) as ear:
                await opened(ear)
                closed = ear.all(LineClosed)
                assert "instruments: HTTP 500" in closed[0].reason
                assert not any(one.final for one in closed)

    on_a_loop(scene())


def test_a_book_can_be_asked_for_anew_by_the_service() -> None:
    async def scene() -> None:
        async with ToyVenue() as venue, ToyEar(venue, ONE) as ear:
            await opened(ear)
            assert await ear.feed.call(Resubscribe(TOY, ONE, 1)) == Resubscribed()
            await ear.hears(DepthChange, 2)
            assert venue.said("unsub") == [["depth:one-usd"]]
            assert len(venue.said("sub")) == 2
            assert len(ear.all(BookOpened)) == 1
            assert isinstance(await ear.feed.call(Resubscribe(TOY, TWO, 1)), NoImage)

    on_a_loop(scene())
