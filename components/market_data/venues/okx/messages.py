"""What OKX writes on its stream and in its answers, as typed as it comes."""

from typing import Annotated, Generic, TypeAlias, TypeVar

from msgspec import Meta, Struct

FullLevel: TypeAlias = tuple[str, str, str, str]
"""Price, size, a dead field, the count of orders: what the venue sends today; a fixed shape is read faster."""
AnyLevel: TypeAlias = Annotated[tuple[str, ...], Meta(min_length=2)]
"""Some channels and years leave out the last ones."""
TimestampMs: TypeAlias = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]
"""Unix time in ms; written as text."""
SequenceId: TypeAlias = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
PrevSequenceId: TypeAlias = Annotated[int, Meta(ge=-1, le=(1 << 63) - 1)]
"""-1 where nothing came before."""
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
    """A book, or what changed in it."""

    asks: list[WireLevel]
    bids: list[WireLevel]
    ts: TimestampMs
    checksum: int | None = None
    prev_seq_id: PrevSequenceId | None = None
    seq_id: SequenceId | None = None


class TradeRow(Struct, gc=False, rename="camel"):
    """Some fills of one taker at one price; `count` ids up to `trade_id` are in it."""

    trade_id: SequenceId
    px: str
    sz: str
    ts: TimestampMs


class EventMessage(Struct, gc=False):
    """What the venue says beside data."""

    event: str
    arg: ChannelArgument | None = None
    code: str = ""
    msg: str = ""
    id: str = ""


class Response(Struct, Generic[Row], gc=False):
    """What is answered to a GET."""

    code: str
    data: list[Row]
    msg: str = ""


class InstrumentRow(Struct, gc=False, rename="camel"):
    """One listed instrument; an empty text means that a field has no meaning for it."""

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
