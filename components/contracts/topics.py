"""The single table of streams: who speaks, which messages, how silent is too silent, what loss means."""

from enum import StrEnum
from typing import Any, Final, get_args

from msgspec import Struct

from components.contracts.commands import Acknowledgement
from components.contracts.decisions import DecisionMessage, JudgeReply, JudgeRequest
from components.contracts.health import HealthMessage
from components.contracts.market import BookMessage, MarketMessage
from components.contracts.orders import OrderMessage
from components.contracts.positions import PositionMessage

EVERYONE: Final = "*"


class StreamClass(StrEnum):
    """What a hearer may rely on."""

    STATE = "state"
    EVENTS = "events"
    REQUEST = "request"
    SEALED = "sealed"


class Stream(Struct, frozen=True, gc=False, kw_only=True):
    """One line of the table."""

    name: str
    speaker: str
    """The component that publishes, or that asks."""
    hearers: tuple[str, ...]
    """The components that hear it, or that answer."""
    kind: StreamClass
    messages: Any
    """The union of message types, for one typed decoder."""
    replies: Any = None
    silence_ms_max: int
    """Without a message or heartbeat for longer than this the stream is down."""
    high_water_mark: int
    on_loss: str


HEARTBEAT_MS: Final = 1_000
"""Every published stream says its last place this often."""

MARKET: Final = Stream(
    name="market",
    speaker="market_data",
    hearers=(EVERYONE,),
    kind=StreamClass.STATE,
    messages=MarketMessage,
    silence_ms_max=3_500,
    high_water_mark=20_000,
    on_loss="symbol flagged, re-join by snapshot",
)
BOOKS: Final = Stream(
    name="books",
    speaker="market_data",
    hearers=(EVERYONE,),
    kind=StreamClass.STATE,
    messages=BookMessage,
    silence_ms_max=3_500,
    high_water_mark=100_000,
    on_loss="book unknown, re-join by snapshot",
)
JUDGE: Final = Stream(
    name="judge",
    speaker="signals",
    hearers=("risk",),
    kind=StreamClass.REQUEST,
    messages=JudgeRequest,
    replies=JudgeReply,
    silence_ms_max=2_000,
    high_water_mark=1_000,
    on_loss="same request id again",
)
COMMANDS: Final = Stream(
    name="commands",
    speaker="risk",
    hearers=("execution",),
    kind=StreamClass.SEALED,
    messages=bytes,
    replies=Acknowledgement,
    silence_ms_max=2_000,
    high_water_mark=10_000,
    on_loss="outbox sends again, also after restart",
)
ORDERS: Final = Stream(
    name="orders",
    speaker="execution",
    hearers=(EVERYONE,),
    kind=StreamClass.EVENTS,
    messages=OrderMessage,
    silence_ms_max=3_500,
    high_water_mark=10_000,
    on_loss="replay from the journal",
)
DECISIONS: Final = Stream(
    name="decisions",
    speaker="risk",
    hearers=(EVERYONE,),
    kind=StreamClass.EVENTS,
    messages=DecisionMessage,
    silence_ms_max=3_500,
    high_water_mark=10_000,
    on_loss="replay from the log",
)
POSITIONS: Final = Stream(
    name="positions",
    speaker="risk",
    hearers=(EVERYONE,),
    kind=StreamClass.STATE,
    messages=PositionMessage,
    silence_ms_max=3_500,
    high_water_mark=10_000,
    on_loss="re-join by snapshot",
)
HEALTH: Final = Stream(
    name="health",
    speaker=EVERYONE,
    hearers=(EVERYONE,),
    kind=StreamClass.STATE,
    messages=HealthMessage,
    silence_ms_max=3_500,
    high_water_mark=1_000,
    on_loss="silence = down",
)

STREAMS: Final[dict[str, Stream]] = {
    stream.name: stream for stream in (MARKET, BOOKS, JUDGE, COMMANDS, ORDERS, DECISIONS, POSITIONS, HEALTH)
}


def message_types(stream: Stream) -> tuple[type, ...]:
    """List the types that a stream may carry."""
    return get_args(stream.messages) or (stream.messages,)
