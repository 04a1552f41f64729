"""Requests to OKX and the meaning of its replies: settings, limits, error codes, topics, events."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from components.market_data.core.events import DecodeIssue, IssueKind
from components.market_data.core.instruments import Instrument
from components.market_data.venues.adapter import (
    Authenticated,
    Channel,
    ConnectionPlan,
    ControlMessage,
    Decoded,
    Heartbeat,
    Limits,
    ShutdownNotice,
    SubscribeAck,
    SubscribeRejected,
    Topic,
    UnsubscribeAck,
)
from components.market_data.venues.okx.messages import EventMessage

LIMITS: Final = Limits(
    topics_per_request=100,  # a request's channel list may take 64 KB, about 600 channels
    topics_per_connection=90,
    sends_per_second=3.0,
    connects_per_second=3.0,
    ping_after_idle_ms=20_000,  # the venue closes a connection after 30 s without a message
    reply_timeout_ms=8_000,
    requests_per_second=20.0,  # books: 40 requests in 2 s
    requests_burst=20,
)
PERMANENT_CODES: Final = frozenset(
    {
        "60011",  # please log in
        "60012",  # invalid request
        "60013",  # invalid arguments
        "60017",  # wrong URL
        "60018",  # unknown channel or instrument
        "60019",  # unknown operation
        "60029",  # only for higher fee tiers
        "64003",  # only for higher fee tiers
    }
)
RETRYABLE_CODES: Final = frozenset(
    {
        "50001",  # service unavailable
        "50004",  # timed out
        "50011",  # too many requests
        "50013",  # busy
        "50026",  # internal error of the venue
        "50113",  # too many requests
        "60014",  # too many requests on this connection
        "63999",  # internal error of the venue
    }
)
"""An unknown code is retried too: retries are paced, and a symbol that was given up does not come back by itself."""
SHUTDOWN_NOTICE_CODE: Final = "64008"
RETRYABLE_STATUSES: Final = frozenset({403, 408, 425, 429})
"""The venue's firewall answers 403 to clients that send too many requests."""
TRADES: Final = "trades"
DETAIL_CHARACTERS_MAX: Final = 200
_TOPIC_IN_TEXT: Final = re.compile(r'channel"?\s*:\s*"?([\w-]{1,40})"?\s*,\s*"?instId"?\s*:\s*"?([\w.-]{1,60})')
_event_decoder: Final = msgspec.json.Decoder(EventMessage)


class DepthChannel(StrEnum):
    """The venue's order book channels."""

    BOOKS = "books"
    BOOKS5 = "books5"
    BBO_TBT = "bbo-tbt"
    BOOKS_L2_TBT = "books-l2-tbt"
    BOOKS50_L2_TBT = "books50-l2-tbt"

    @property
    def is_chained(self) -> bool:
        """Return whether updates chain by ids; the other channels send a full shallow book in each frame."""
        return self not in (DepthChannel.BOOKS5, DepthChannel.BBO_TBT)

    @property
    def levels(self) -> int:
        """Return the number of levels per side that the venue keeps on the channel."""
        return CHANNEL_LEVELS[self]


CHANNEL_LEVELS: Final = {
    DepthChannel.BOOKS: 400,
    DepthChannel.BOOKS5: 5,
    DepthChannel.BBO_TBT: 1,
    DepthChannel.BOOKS_L2_TBT: 400,
    DepthChannel.BOOKS50_L2_TBT: 50,
}


class ChecksumMode(StrEnum):
    """Which checksums are verified."""

    NON_ZERO = "non_zero"
    """The venue sends 0 where it no longer computes a checksum; any other value must match."""
    NEVER = "never"


class OkxInstrumentType(StrEnum):
    """The venue's instrument types."""

    SPOT = "SPOT"
    SWAP = "SWAP"
    FUTURES = "FUTURES"
    OPTION = "OPTION"


class OkxSettings(Struct, frozen=True, kw_only=True):
    """Settings of the OKX adapter."""

    depth_channel: DepthChannel = DepthChannel.BOOKS
    checksum: ChecksumMode = ChecksumMode.NON_ZERO
    quotes: bool = True
    """Whether the best bid and ask are subscribed beside the books."""
    trades: bool = True
    inst_types: tuple[OkxInstrumentType, ...] = (
        OkxInstrumentType.SPOT,
        OkxInstrumentType.SWAP,
        OkxInstrumentType.FUTURES,
    )
    option_families: tuple[str, ...] = ()
    """Options are listed by family only: BTC-USD, ETH-USD."""
    books_per_connection: int = 25
    """The venue recommends fewer than 30 deep books per connection."""
    cached_trade_age_ms_max: int = 3_000
    """The first trade after a subscription is the last one that happened; an older one than this is dropped."""


def is_permanent_code(code: str) -> bool:
    """Return whether a retry cannot succeed."""
    return code in PERMANENT_CODES


def is_permanent_status(status: int) -> bool:
    """Return whether an HTTP status means that a retry cannot succeed."""
    return 400 <= status < 500 and status not in RETRYABLE_STATUSES


def topic_name(channel: str, venue_symbol: str) -> str:
    """Return the name of a topic."""
    return f"{channel}:{venue_symbol}"


def plan_connections(url: str, instruments: Sequence[Instrument], settings: OkxSettings) -> tuple[ConnectionPlan, ...]:
    """Distribute the topics over connections; topics of one instrument share a connection."""
    size = settings.books_per_connection
    groups = [instruments[start : start + size] for start in range(0, len(instruments), size)]
    return tuple(
        ConnectionPlan(f"public-{number}", url, tuple(topic for one in group for topic in _topics(one, settings)))
        for number, group in enumerate(groups, start=1)
    )


def encode_request(operation: str, names: Iterable[str], request_id: int) -> str:
    """Encode a request; a topic that is named twice is requested once."""
    arguments = [_argument(name) for name in dict.fromkeys(names)]
    return msgspec.json.encode({"id": str(request_id), "op": operation, "args": arguments}).decode()


def _topics(instrument: Instrument, settings: OkxSettings) -> list[Topic]:
    symbol, venue_symbol = instrument.symbol, instrument.venue_symbol
    topics = [Topic(Channel.DEPTH, symbol, topic_name(settings.depth_channel, venue_symbol))]
    # Where the depth channel is the best bid and ask, one topic serves as book and as quote.
    if settings.quotes and settings.depth_channel is not DepthChannel.BBO_TBT:
        topics.append(Topic(Channel.QUOTES, symbol, topic_name(DepthChannel.BBO_TBT, venue_symbol)))
    if settings.trades:
        topics.append(Topic(Channel.TRADES, symbol, topic_name(TRADES, venue_symbol)))
    return topics


def _argument(name: str) -> dict[str, str]:
    channel, _, venue_symbol = name.partition(":")
    return {"channel": channel, "instId": venue_symbol}


def decode_event(frame: bytes) -> Decoded:
    """Decode one event; raise ValueError or msgspec's errors where the frame holds none."""
    event = _event_decoder.decode(frame)
    control = _control(event)
    if control is None:
        return Decoded(data=(DecodeIssue(IssueKind.UNKNOWN, f"event {event.event[:40]} {event.code[:20]}"),))
    return Decoded(control=(control,))


def _control(event: EventMessage) -> ControlMessage | None:
    reader = _READERS.get(event.event)
    return None if reader is None else reader(event)


def _notice(event: EventMessage) -> ShutdownNotice | Heartbeat:
    return ShutdownNotice(event.msg[:DETAIL_CHARACTERS_MAX]) if event.code == SHUTDOWN_NOTICE_CODE else Heartbeat()


def _rejection(event: EventMessage) -> SubscribeRejected:
    reason = f"{event.code}: {event.msg}"[:DETAIL_CHARACTERS_MAX]
    names = _names(event) or tuple(dict.fromkeys(_names_within(event.msg)))
    return SubscribeRejected(
        names, reason, is_permanent_code(event.code), int(event.id) if event.id.isdecimal() else None
    )


def _names(event: EventMessage) -> tuple[str, ...]:
    return () if event.arg is None else (topic_name(event.arg.channel, event.arg.inst_id),)


def _names_within(message: str) -> Iterator[str]:
    return (topic_name(*found.groups()) for found in _TOPIC_IN_TEXT.finditer(message))


_READERS: Final[dict[str, Callable[[EventMessage], ControlMessage]]] = {
    "subscribe": lambda event: SubscribeAck(_names(event)),
    "unsubscribe": lambda event: UnsubscribeAck(_names(event)),
    "error": _rejection,
    "notice": _notice,
    "login": lambda _: Authenticated(),
    "channel-conn-count": lambda _: Heartbeat(),
}
