"""Wire messages of OKX's streams and REST responses; field names are OKX's own."""

from typing import Annotated, Generic, TypeAlias, TypeVar

from msgspec import Meta, Struct

FullLevel: TypeAlias = tuple[str, str, str, str]
"""Price, size, an unused field, number of orders: today's shape. A fixed shape is decoded faster."""
AnyLevel: TypeAlias = Annotated[tuple[str, ...], Meta(min_length=2)]
"""Some channels and old recordings omit the last fields."""
TimestampMs: TypeAlias = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]
"""Unix time in milliseconds, sent as text."""
SequenceId: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
PrevSequenceId: TypeAlias = Annotated[int, Meta(ge=-1, le=(1 << 63) - 1)]
"""-1 where there is no previous update."""
Row = TypeVar("Row")
WireLevel = TypeVar("WireLevel", FullLevel, AnyLevel)


class ChannelArgument(Struct, frozen=True, gc=False, rename="camel"):
    """A channel of an instrument."""

    channel: str
    inst_id: str = ""


class PushMessage(Struct, Generic[Row], gc=False):
    """One frame of data."""

    arg: ChannelArgument
    data: list[Row]
    action: str = ""


class DepthRow(Struct, Generic[WireLevel], gc=False, rename="camel"):
    """An order book, or the changed levels of one."""

    asks: list[WireLevel]
    bids: list[WireLevel]
    ts: TimestampMs
    checksum: int | None = None
    prev_seq_id: PrevSequenceId | None = None
    seq_id: SequenceId | None = None


class TradeRow(Struct, gc=False, rename="camel"):
    """Fills of one taker at one price; it covers `count` trade ids up to `trade_id`."""

    trade_id: SequenceId
    px: str
    sz: str
    ts: TimestampMs


class EventMessage(Struct, gc=False):
    """A message without data: replies, errors, notices."""

    event: str
    arg: ChannelArgument | None = None
    code: str = ""
    msg: str = ""
    id: str = ""


class Response(Struct, Generic[Row], gc=False):
    """The body of a REST response."""

    code: str
    data: list[Row]
    msg: str = ""


class InstrumentRow(Struct, gc=False, rename="camel"):
    """One listed instrument; an empty text means that the field does not apply."""

    inst_id: str
    inst_type: str
    tick_sz: str
    lot_sz: str
    min_sz: str
    state: str = ""
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    inst_family: str = ""
    uly: str = ""
    ct_type: str = ""
    ct_val: str = ""
    ct_mult: str = ""
    ct_val_ccy: str = ""
    exp_time: str = ""
    stk: str = ""
    opt_type: str = ""
