"""Deribit's frames as they stand on the wire; their names are Deribit's own."""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from components.market_data.core.numerics import JsonNumber

ChangeId: TypeAlias = Annotated[int, Meta(ge=0)]
LevelChange: TypeAlias = tuple[Literal["new", "change", "delete"], JsonNumber, JsonNumber]


class BookData(Struct, frozen=True, gc=False):
    """A whole book, or what changed in it."""

    type: Literal["snapshot", "change"]
    timestamp: int
    instrument_name: str
    change_id: ChangeId
    bids: list[LevelChange]
    asks: list[LevelChange]
    prev_change_id: ChangeId | None = None


class BookParams(Struct, frozen=True, gc=False):
    """A notification's inner part."""

    channel: str
    data: BookData


class BookFrame(Struct, frozen=True, gc=False):
    """A notification of book.<instrument>.<interval>."""

    params: BookParams


class QuoteData(Struct, frozen=True, gc=False):
    """The best bid and ask; an absent side is null or 0."""

    timestamp: int
    instrument_name: str
    best_bid_price: JsonNumber = None
    best_bid_amount: JsonNumber = None
    best_ask_price: JsonNumber = None
    best_ask_amount: JsonNumber = None


class QuoteParams(Struct, frozen=True, gc=False):
    """A notification's inner part."""

    channel: str
    data: QuoteData


class QuoteFrame(Struct, frozen=True, gc=False):
    """A notification of quote.<instrument>."""

    params: QuoteParams


class TradeData(Struct, frozen=True, gc=False):
    """One trade; `trade_seq` counts those of its instrument."""

    trade_seq: int
    timestamp: int
    instrument_name: str
    price: JsonNumber
    amount: JsonNumber


class TradesParams(Struct, frozen=True, gc=False):
    """A notification's inner part."""

    channel: str
    data: list[TradeData]


class TradesFrame(Struct, frozen=True, gc=False):
    """A notification of trades.<instrument>.<interval>."""

    params: TradesParams


class SnapshotData(Struct, frozen=True, gc=False):
    """A book that was fetched."""

    timestamp: int
    instrument_name: str
    change_id: ChangeId
    bids: list[tuple[JsonNumber, JsonNumber]]
    asks: list[tuple[JsonNumber, JsonNumber]]


class SnapshotResponse(Struct, frozen=True, gc=False):
    """The answer of get_order_book."""

    result: SnapshotData


class ErrorMessage(Struct, frozen=True):
    """The venue's complaint about a request; `data` says more, in any form."""

    code: int
    message: str = ""
    data: Raw = Raw(b"null")


class MessageParams(Struct, frozen=True):
    """What every notice may have."""

    channel: str = ""
    type: str = ""


class Message(Struct, frozen=True):
    """An answer or a notice."""

    id: int | None = None
    result: Raw = Raw(b"")
    """Empty where there is none."""
    error: ErrorMessage | None = None
    method: str = ""
    params: MessageParams = MessageParams()


book_decoder: Final = msgspec.json.Decoder(BookFrame, float_hook=str)
quote_decoder: Final = msgspec.json.Decoder(QuoteFrame, float_hook=str)
trades_decoder: Final = msgspec.json.Decoder(TradesFrame, float_hook=str)
snapshot_decoder: Final = msgspec.json.Decoder(SnapshotResponse, float_hook=str)
message_decoder: Final = msgspec.json.Decoder(Message)
