"""Alpaca's frames as they stand on the wire, decoded once into types; their names are Alpaca's own."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct, field


class StockTrade(Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    """A print: price, size, time."""

    S: str
    p: Decimal
    s: Decimal
    t: str


class StockQuote(Struct, frozen=True, gc=False, tag_field="T", tag="q"):
    """The best bid and ask; a price of 0 means that side is absent."""

    S: str
    bp: Decimal
    bs: Decimal
    ap: Decimal
    ask_size: Decimal = field(name="as")
    t: str


class Success(Struct, frozen=True, gc=False, tag_field="T", tag="success"):
    """A step of the handshake went well."""

    msg: str


class ErrorMessage(Struct, frozen=True, gc=False, tag_field="T", tag="error"):
    """The venue's complaint."""

    code: int
    msg: str


class StockSubscription(Struct, frozen=True, gc=False, tag_field="T", tag="subscription"):
    """The whole set that is subscribed now."""

    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


StockMessage: TypeAlias = StockTrade | StockQuote | Success | ErrorMessage | StockSubscription


class Authenticate(Struct, frozen=True, gc=False, tag_field="action", tag="auth"):
    """Who we are."""

    key: str
    secret: str


class SubscribeStocks(Struct, frozen=True, gc=False, tag_field="action", tag="subscribe"):
    """What we want to hear."""

    trades: tuple[str, ...]
    quotes: tuple[str, ...]


class DecodedStockFrame(Struct, frozen=True, gc=False):
    """What one frame held: the parts understood, and how many others."""

    messages: Sequence[StockMessage]
    unknown: int = 0
    malformed: int = 0


DECODE_ERRORS: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that bytes can do to the decoder; broken UTF-8 is a ValueError, deep nesting a RecursionError."""
KNOWN_TYPES: Final = frozenset({"t", "q", "success", "error", "subscription"})


class _MessageType(Struct, frozen=True, gc=False):
    T: str


_frame_decoder: Final = msgspec.json.Decoder(list[StockMessage])
_parts_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw])
_message_decoder: Final = msgspec.json.Decoder(StockMessage)
_type_decoder: Final = msgspec.json.Decoder(_MessageType)
_encoder: Final = msgspec.json.Encoder()


def decode_stock_frame(frame: bytes) -> DecodedStockFrame:
    """Decode a frame in one pass; only one that holds something strange is looked at part by part."""
    try:
        return DecodedStockFrame(_frame_decoder.decode(frame))
    except DECODE_ERRORS:
        return _decode_parts(frame)


def encode_request(message: Authenticate | SubscribeStocks) -> str:
    """Write what we say to the venue, as the text frame it expects."""
    return _encoder.encode(message).decode()


def _decode_parts(frame: bytes) -> DecodedStockFrame:
    try:
        parts = _parts_decoder.decode(frame)
    except DECODE_ERRORS:
        return DecodedStockFrame((), malformed=1)
    messages: list[StockMessage] = []
    unknown = 0
    for part in parts:
        try:
            messages.append(_message_decoder.decode(part))
        except DECODE_ERRORS:
            unknown += _is_unknown(part)
    return DecodedStockFrame(messages, unknown, malformed=len(parts) - len(messages) - unknown)


def _is_unknown(part: msgspec.Raw) -> bool:
    try:
        return _type_decoder.decode(part).T not in KNOWN_TYPES
    except DECODE_ERRORS:
        return False
