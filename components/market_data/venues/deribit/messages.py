"""Wire messages of Deribit; field names are Deribit's own."""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from components.market_data.core.numerics import JsonNumber

ChangeId: TypeAlias = Annotated[int, Meta(ge=0)]
LevelChange: TypeAlias = tuple[Literal["new", "change", "delete"], JsonNumber, JsonNumber]


class BookData(Struct, frozen=True, gc=False):
    """A full order book, or the changed levels of one."""

    type: Literal["snapshot", "change"]
    timestamp: int
    instrument_name: str
    change_id: ChangeId
    bids: list[LevelChange]
    asks: list[LevelChange]
    prev_change_id: ChangeId | None = None


class BookParams(Struct, frozen=True, gc=False):
    """The parameters of a book notification."""

    channel: str
    data: BookData


class BookFrame(Struct, frozen=True, gc=False):
    """A notification of book.<instrument>.<interval>."""

    params: BookParams


class QuoteData(Struct, frozen=True, gc=False):
    """The best bid and ask; an empty side is null or 0."""

    timestamp: int
    instrument_name: str
    best_bid_price: JsonNumber = None
    best_bid_amount: JsonNumber = None
    best_ask_price: JsonNumber = None
    best_ask_amount: JsonNumber = None


class QuoteParams(Struct, frozen=True, gc=False):
    """The parameters of a quote notification."""

    channel: str
    data: QuoteData


class QuoteFrame(Struct, frozen=True, gc=False):
    """A notification of quote.<instrument>."""

    params: QuoteParams


class TradeData(Struct, frozen=True, gc=False):
    """One trade; `trade_seq` counts the trades of its instrument."""

    trade_seq: int
    timestamp: int
    instrument_name: str
    price: JsonNumber
    amount: JsonNumber


class TradesParams(Struct, frozen=True, gc=False):
    """The parameters of a trades notification."""

    channel: str
    data: list[TradeData]


class TradesFrame(Struct, frozen=True, gc=False):
    """A notification of trades.<instrument>.<interval>."""

    params: TradesParams


class SnapshotData(Struct, frozen=True, gc=False):
    """A fetched order book."""

    timestamp: int
    instrument_name: str
    change_id: ChangeId
    bids: list[tuple[JsonNumber, JsonNumber]]
    asks: list[tuple[JsonNumber, JsonNumber]]


class SnapshotResponse(Struct, frozen=True, gc=False):
    """The response of get_order_book."""

    result: SnapshotData


class ErrorMessage(Struct, frozen=True):
    """The error of a request; `data` holds details in any form."""

    code: int
    message: str = ""
    data: Raw = Raw(b"null")


class MessageParams(Struct, frozen=True):
    """The parameters that any notification may have."""

    channel: str = ""
    type: str = ""


class Message(Struct, frozen=True):
    """A reply or a notification."""

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
