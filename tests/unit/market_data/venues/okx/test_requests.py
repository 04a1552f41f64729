"""Requests to OKX: topics, and how they are distributed over connections."""

import msgspec
import pytest

from components.contracts.values import Symbol
from components.market_data.core.book.sequencing import ResyncMethod
from components.market_data.venues.adapter import Channel, VenueAdapter, chunks
from components.market_data.venues.okx.requests import DepthChannel
from tests.support.okx_frames import SPOT, okx_adapter

BITCOIN = Symbol("OKX:BTC-USDT")


def test_it_is_a_venue_adapter() -> None:
    okx: VenueAdapter = okx_adapter()
    assert (okx.venue, okx.requires_login, okx.pushes_snapshot, list(okx.login_messages()), okx.ping_message()) == (
        "OKX",
        False,
        True,
        [],
        "ping",
    )


def test_a_symbol_has_three_topics() -> None:
    [connection] = okx_adapter().plan_connections([BITCOIN])
    assert connection.url == "wss://okx.test/ws/v5/public"
    assert [(topic.channel, topic.name) for topic in connection.topics] == [
        (Channel.DEPTH, "books:BTC-USDT"),
        (Channel.QUOTES, "bbo-tbt:BTC-USDT"),
        (Channel.TRADES, "trades:BTC-USDT"),
    ]


def test_where_the_book_is_the_best_prices_one_topic_is_both() -> None:
    [connection] = okx_adapter(depth_channel=DepthChannel.BBO_TBT, trades=False).plan_connections([BITCOIN])
    assert [(topic.channel, topic.name) for topic in connection.topics] == [(Channel.DEPTH, "bbo-tbt:BTC-USDT")]


def test_disabled_channels_are_not_subscribed() -> None:
    [connection] = okx_adapter(quotes=False, trades=False, depth_channel=DepthChannel.BOOKS5).plan_connections(
        [BITCOIN]
    )
    assert [topic.name for topic in connection.topics] == ["books5:BTC-USDT"]


def test_books_are_spread_over_connections_and_each_symbol_stands_once() -> None:
    rows = [{**SPOT, "instId": f"C{number}-USDT", "baseCcy": f"C{number}"} for number in range(60)]
    okx = okx_adapter(rows)
    symbols = [Symbol(f"OKX:C{number}-USDT") for number in range(60)]
    connections = okx.plan_connections([*symbols, *symbols])
    assert [len(connection.topics) for connection in connections] == [75, 75, 30]
    assert len({connection.name for connection in connections}) == 3
    assert len({topic.name for connection in connections for topic in connection.topics}) == 180
    assert all(len(connection.topics) <= okx.limits.topics_per_connection for connection in connections)


def test_a_request_asks_for_each_topic_once() -> None:
    names = ["books:BTC-USDT", "trades:BTC-USDT", "books:BTC-USDT"]
    assert okx_adapter().subscribe_message(names, 7) == (
        '{"id":"7","op":"subscribe","args":'
        '[{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"BTC-USDT"}]}'
    )
    assert okx_adapter().unsubscribe_message(["books:BTC-USDT"], 8) == (
        '{"id":"8","op":"unsubscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}'
    )


def test_a_full_request_stays_below_64_kilobytes() -> None:
    okx = okx_adapter()
    names = [f"books50-l2-tbt:{'X' * 60}{number}" for number in range(500)]
    requests = [okx.subscribe_message(some, 1) for some in chunks(names, okx.limits.topics_per_request)]
    assert sum(len(msgspec.json.decode(request)["args"]) for request in requests) == 500
    assert max(map(len, requests)) < 64 * 1024


@pytest.mark.parametrize(
    ("channel", "levels", "fallback"),
    [
        (DepthChannel.BOOKS, 400, ResyncMethod.FETCH),
        (DepthChannel.BOOKS_L2_TBT, 400, ResyncMethod.RESUBSCRIBE),
        (DepthChannel.BOOKS50_L2_TBT, 50, ResyncMethod.RESUBSCRIBE),
        (DepthChannel.BOOKS5, 5, ResyncMethod.RESUBSCRIBE),
        (DepthChannel.BBO_TBT, 1, ResyncMethod.RESUBSCRIBE),
    ],
)
def test_only_the_channel_whose_ids_the_reply_carries_is_joined_to_it(
    channel: DepthChannel, levels: int, fallback: ResyncMethod
) -> None:
    okx = okx_adapter(depth_channel=channel)
    assert okx.snapshot_request(BITCOIN).path == f"/api/v5/market/books?instId=BTC-USDT&sz={levels}&source=0"
    assert (okx.sequence_rule.resync_method, okx.sequence_rule.fallback_method) == (ResyncMethod.RESUBSCRIBE, fallback)


@pytest.mark.parametrize(("status", "final"), [(400, True), (404, True), (403, False), (429, False), (503, False)])
def test_which_statuses_are_final(status: int, final: bool) -> None:
    assert okx_adapter().is_permanent_status(status) is final
