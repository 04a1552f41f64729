"""The single table of streams: who speaks, which messages, how silent is too silent, what loss means."""

from enum import StrEnum
from typing import Any, Final, get_args

from msgspec import Struct

from components.contracts.commands import Acknowledgement
from components.contracts.decisions import DecisionMessage, RiskReply, RiskRequest
from components.contracts.market import BookMessage, MarketMessage
from components.contracts.orders import OrderMessage
from components.contracts.protocol import HealthMessage
from components.contracts.trading import PositionMessage

ANY: Final = "*"


class StreamClass(StrEnum):
    """What a hearer may rely on."""

    STATE = "state"
    EVENTS = "events"
    REQUEST = "request"
    SEALED = "sealed"


class Stream(Struct, frozen=True, gc=False, kw_only=True):
    """One line of the table."""

    name: str
    producer: str
    """The component that publishes, or that asks."""
    consumers: tuple[str, ...]
    """The components that hear it, or that answer."""
    stream_class: StreamClass
    messages: Any
    """The union of message types, for one typed decoder."""
    replies: Any = None
    heartbeat_timeout_ms: int
    """Without a message or heartbeat for longer than this the stream is down."""
    high_water_mark: int
    on_loss: str


HEARTBEAT_MS: Final = 1_000
"""Every published stream says its last place this often."""


MARKET: Final = Stream(
    name="market",
    producer="market_data",
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=MarketMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=20_000,
    on_loss="symbol flagged, re-join by snapshot",
)


BOOKS: Final = Stream(
    name="books",
    producer="market_data",
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=BookMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=100_000,
    on_loss="book unknown, re-join by snapshot",
)


RISK_REQUESTS: Final = Stream(
    name="risk_requests",
    producer="signals",
    consumers=("risk",),
    stream_class=StreamClass.REQUEST,
    messages=RiskRequest,
    replies=RiskReply,
    heartbeat_timeout_ms=2_000,
    high_water_mark=1_000,
    on_loss="same request id again",
)


COMMANDS: Final = Stream(
    name="commands",
    producer="risk",
    consumers=("execution",),
    stream_class=StreamClass.SEALED,
    messages=bytes,
    replies=Acknowledgement,
    heartbeat_timeout_ms=2_000,
    high_water_mark=10_000,
    on_loss="outbox sends again, also after restart",
)


ORDERS: Final = Stream(
    name="orders",
    producer="execution",
    consumers=(ANY,),
    stream_class=StreamClass.EVENTS,
    messages=OrderMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=10_000,
    on_loss="replay from the journal",
)


DECISIONS: Final = Stream(
    name="decisions",
    producer="risk",
    consumers=(ANY,),
    stream_class=StreamClass.EVENTS,
    messages=DecisionMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=10_000,
    on_loss="replay from the log",
)


POSITIONS: Final = Stream(
    name="positions",
    producer="risk",
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=PositionMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=10_000,
    on_loss="re-join by snapshot",
)


HEALTH: Final = Stream(
    name="health",
    producer=ANY,
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=HealthMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=1_000,
    on_loss="silence = down",
)


STREAMS: Final[dict[str, Stream]] = {
    stream.name: stream for stream in (MARKET, BOOKS, RISK_REQUESTS, COMMANDS, ORDERS, DECISIONS, POSITIONS, HEALTH)
}


def message_types(stream: Stream) -> tuple[type, ...]:
    """List the types that a stream may carry."""
    return get_args(stream.messages) or (stream.messages,)
