"""What is asked of OKX's stream: the topics of each symbol, spread over connections, and the requests for them."""

from collections.abc import Iterable, Sequence

import msgspec

from components.market_data.core.instruments import Instrument
from components.market_data.venues.dialect import Channel, ConnectionPlan, Topic
from components.market_data.venues.okx.settings import DepthChannel, OkxSettings

TRADES = "trades"


def topic_name(channel: str, venue_symbol: str) -> str:
    """Name a topic."""
    return f"{channel}:{venue_symbol}"


def plan_connections(url: str, instruments: Sequence[Instrument], settings: OkxSettings) -> tuple[ConnectionPlan, ...]:
    """Spread the topics over connections, those of one instrument on the same."""
    size = settings.books_per_connection
    groups = [instruments[start : start + size] for start in range(0, len(instruments), size)]
    return tuple(
        ConnectionPlan(f"public-{number}", url, tuple(topic for one in group for topic in _topics(one, settings)))
        for number, group in enumerate(groups, start=1)
    )


def encode_request(operation: str, names: Iterable[str], request_id: int) -> str:
    """Write a request; a topic that is named twice is asked for once."""
    arguments = [_argument(name) for name in dict.fromkeys(names)]
    return msgspec.json.encode({"id": str(request_id), "op": operation, "args": arguments}).decode()


def _topics(instrument: Instrument, settings: OkxSettings) -> list[Topic]:
    symbol, native = instrument.symbol, instrument.venue_symbol
    topics = [Topic(Channel.DEPTH, symbol, topic_name(settings.depth_channel, native))]
    # Where the book is the best prices, one topic serves as both.
    if settings.quotes and settings.depth_channel is not DepthChannel.BBO_TBT:
        topics.append(Topic(Channel.QUOTES, symbol, topic_name(DepthChannel.BBO_TBT, native)))
    if settings.trades:
        topics.append(Topic(Channel.TRADES, symbol, topic_name(TRADES, native)))
    return topics


def _argument(name: str) -> dict[str, str]:
    channel, _, native = name.partition(":")
    return {"channel": channel, "instId": native}
