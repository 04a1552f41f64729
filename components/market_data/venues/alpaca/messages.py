"""Alpaca's frames as they stand on the wire, decoded once into types; their names are Alpaca's own."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct, field


class AlpacaTrade(Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    """A print: price, size, time."""

    S: str
    p: Decimal
    s: Decimal
    t: str


class AlpacaQuote(Struct, frozen=True, gc=False, tag_field="T", tag="q"):
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


class Failure(Struct, frozen=True, gc=False, tag_field="T", tag="error"):
    """The venue's complaint."""

    code: int
    msg: str


class Subscription(Struct, frozen=True, gc=False, tag_field="T", tag="subscription"):
    """The whole set that is subscribed now."""

    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


AlpacaMessage: TypeAlias = AlpacaTrade | AlpacaQuote | Success | Failure | Subscription


class Authenticate(Struct, frozen=True, gc=False, tag_field="action", tag="auth"):
    """Who we are."""

    key: str
    secret: str


class Subscribe(Struct, frozen=True, gc=False, tag_field="action", tag="subscribe"):
    """What we want to hear."""

    trades: tuple[str, ...]
    quotes: tuple[str, ...]


class Frame(Struct, frozen=True, gc=False):
    """What one frame held: the parts understood, and how many others."""

    messages: Sequence[AlpacaMessage]
    unknown: int = 0
    malformed: int = 0


STRANGE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that bytes can do to the decoder; broken UTF-8 is a ValueError, deep nesting a RecursionError."""
KNOWN: Final = frozenset({"t", "q", "success", "error", "subscription"})


class _Kind(Struct, frozen=True, gc=False):
    T: str


_whole: Final = msgspec.json.Decoder(list[AlpacaMessage])
_parts: Final = msgspec.json.Decoder(list[msgspec.Raw])
_one: Final = msgspec.json.Decoder(AlpacaMessage)
_kind: Final = msgspec.json.Decoder(_Kind)
_encoder: Final = msgspec.json.Encoder()


def decode(frame: bytes) -> Frame:
    """Decode a frame in one pass; only one that holds something strange is looked at part by part."""
    try:
        return Frame(_whole.decode(frame))
    except STRANGE:
        return _decode_apart(frame)


def encode(message: Authenticate | Subscribe) -> str:
    """Write what we say to the venue, as the text frame it expects."""
    return _encoder.encode(message).decode()


def _decode_apart(frame: bytes) -> Frame:
    try:
        parts = _parts.decode(frame)
    except STRANGE:
        return Frame((), malformed=1)
    messages: list[AlpacaMessage] = []
    unknown = 0
    for part in parts:
        try:
            messages.append(_one.decode(part))
        except STRANGE:
            unknown += _is_unknown(part)
    return Frame(messages, unknown, malformed=len(parts) - len(messages) - unknown)


def _is_unknown(part: msgspec.Raw) -> bool:
    try:
        return _kind.decode(part).T not in KNOWN
    except STRANGE:
        return False
