"""Deribit's frames as they stand on the wire; their names are Deribit's own."""

from typing import Annotated, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

from components.market_data.venues.literals import Literally

Id: TypeAlias = Annotated[int, Meta(ge=0)]
Change: TypeAlias = tuple[Literal["new", "change", "delete"], Literally, Literally]


class Book(Struct, frozen=True, gc=False):
    """A whole book, or what changed in it."""

    type: Literal["snapshot", "change"]
    timestamp: int
    instrument_name: str
    change_id: Id
    bids: list[Change]
    asks: list[Change]
    prev_change_id: Id | None = None


class BookParams(Struct, frozen=True, gc=False):
    """A notification's inner part."""

    channel: str
    data: Book


class BookFrame(Struct, frozen=True, gc=False):
    """A notification of book.<instrument>.<interval>."""

    params: BookParams


class BestPrices(Struct, frozen=True, gc=False):
    """The best bid and ask; an absent side is null or 0."""

    timestamp: int
    instrument_name: str
    best_bid_price: Literally = None
    best_bid_amount: Literally = None
    best_ask_price: Literally = None
    best_ask_amount: Literally = None


class QuoteParams(Struct, frozen=True, gc=False):
    """A notification's inner part."""

    channel: str
    data: BestPrices


class QuoteFrame(Struct, frozen=True, gc=False):
    """A notification of quote.<instrument>."""

    params: QuoteParams


class Print(Struct, frozen=True, gc=False):
    """One trade; `trade_seq` counts those of its instrument."""

    trade_seq: int
    timestamp: int
    instrument_name: str
    price: Literally
    amount: Literally


class TradesParams(Struct, frozen=True, gc=False):
    """A notification's inner part."""

    channel: str
    data: list[Print]


class TradesFrame(Struct, frozen=True, gc=False):
    """A notification of trades.<instrument>.<interval>."""

    params: TradesParams


class Image(Struct, frozen=True, gc=False):
    """A book that was fetched."""

    timestamp: int
    instrument_name: str
    change_id: Id
    bids: list[tuple[Literally, Literally]]
    asks: list[tuple[Literally, Literally]]


class ImageAnswer(Struct, frozen=True, gc=False):
    """The answer of get_order_book."""

    result: Image


class Failure(Struct, frozen=True):
    """The venue's complaint about a request; `data` says more, in any form."""

    code: int
    message: str = ""
    data: Raw = Raw(b"null")


class Params(Struct, frozen=True):
    """What every notice may have."""

    channel: str = ""
    type: str = ""


class Message(Struct, frozen=True):
    """An answer or a notice."""

    id: int | None = None
    result: Raw = Raw(b"")
    """Empty where there is none."""
    error: Failure | None = None
    method: str = ""
    params: Params = Params()


books: Final = msgspec.json.Decoder(BookFrame, float_hook=str)
quotes: Final = msgspec.json.Decoder(QuoteFrame, float_hook=str)
trades: Final = msgspec.json.Decoder(TradesFrame, float_hook=str)
images: Final = msgspec.json.Decoder(ImageAnswer, float_hook=str)
messages: Final = msgspec.json.Decoder(Message)

STRANGE: Final = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError)
"""All that bytes can do to the decoders; what is no number and no text cannot be looked up, a TypeError."""
