"""The table of all streams: producer, consumers, message types, heartbeat timeout, queue bound.

Sockets, decoders, heartbeat timeouts and metric labels follow from it.
"""

from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from components.contracts.commands import Acknowledgement
from components.contracts.decisions import DecisionMessage, RiskReply, RiskRequest
from components.contracts.market import BookMessage, MarketMessage
from components.contracts.orders import OrderMessage
from components.contracts.protocol import HealthMessage
from components.contracts.trading import PositionMessage

ANY: Final = "*"
HEARTBEAT_MS: Final = 1_000
"""The heartbeat interval of every published stream."""


class StreamClass(StrEnum):
    """The delivery guarantee of a stream."""

    STATE = "state"
    """Only the latest state counts: after a loss a snapshot replaces it."""
    EVENTS = "events"
    """Every record of a journal, in sequence: after a loss the missing ones are replayed."""
    REQUEST = "request"
    """Requests with replies: each is retried with the same id until its reply or its deadline."""
    SEALED = "sealed"
    """Sealed commands with acknowledgements: each is sent once, and the sender's outbox retries it."""


class Stream(Struct, frozen=True, gc=False, kw_only=True):
    """One row of the table."""

    name: str
    producer: str
    """The component that publishes, or that sends requests."""
    consumers: tuple[str, ...]
    """The components that subscribe, or that reply."""
    stream_class: StreamClass
    messages: Any
    """The union of message types, for one typed decoder."""
    replies: Any = None
    heartbeat_timeout_ms: int
    """The stream is lost if no message or heartbeat arrives for longer than this."""
    high_water_mark: int
    """The queue bound of a socket, in messages."""


MARKET: Final = Stream(
    name="market",
    producer="market_data",
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=MarketMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=20_000,
)
BOOKS: Final = Stream(
    name="books",
    producer="market_data",
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=BookMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=100_000,
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
)
ORDERS: Final = Stream(
    name="orders",
    producer="execution",
    consumers=(ANY,),
    stream_class=StreamClass.EVENTS,
    messages=OrderMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=10_000,
)
DECISIONS: Final = Stream(
    name="decisions",
    producer="risk",
    consumers=(ANY,),
    stream_class=StreamClass.EVENTS,
    messages=DecisionMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=10_000,
)
POSITIONS: Final = Stream(
    name="positions",
    producer="risk",
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=PositionMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=10_000,
)
HEALTH: Final = Stream(
    name="health",
    producer=ANY,
    consumers=(ANY,),
    stream_class=StreamClass.STATE,
    messages=HealthMessage,
    heartbeat_timeout_ms=3_500,
    high_water_mark=1_000,
)
STREAMS: Final[dict[str, Stream]] = {
    stream.name: stream for stream in (MARKET, BOOKS, RISK_REQUESTS, COMMANDS, ORDERS, DECISIONS, POSITIONS, HEALTH)
}
