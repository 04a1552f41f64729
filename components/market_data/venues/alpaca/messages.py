"""Reads a venue's RFC 3339 time stamp into whole nanoseconds without passing through a float or a microsecond.

Alpaca's frames as they stand on the wire, decoded once into types; their names are Alpaca's own.

What Alpaca's complaints mean for the connection: try again later, or stop, for trying again cannot help.
"""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct, field

from components.contracts.errors import VenueRejected, VenueUnavailable
from components.market_data.venues.adapter import DECODE_ERRORS

NS_PER_S: Final = 1_000_000_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_SECOND_PATTERN: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", re.ASCII)
_FRACTION_PATTERN: Final = re.compile(r"(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)
_SECOND_LENGTH: Final = len("2026-11-20T14:31:24")
_FULL_LENGTH: Final = len("2026-11-20T14:31:24.700123456Z")
KNOWN_TYPES: Final = frozenset({"t", "q", "success", "error", "subscription"})
RETRYABLE_CODES: Final = {
    401: "not authenticated",
    403: "already authenticated",
    404: "authentication timed out",
    406: "the account's one connection is still open, perhaps the previous one of this process",
    407: "the client reads too slowly",
    500: "internal error of the venue",
}
PERMANENT_CODES: Final = {
    400: "invalid subscription (does the venue list every symbol?)",
    402: "key and secret are rejected",
    405: "more symbols than the plan allows",
    408: "this stream is not enabled for the account",
    409: "the plan does not include this feed",
    410: "this feed does not support the subscription",
    411: "the key may not read market data",
    412: "this feed supports msgpack only",
    413: "this feed allows no wildcard",
}


def parse_timestamp(text: str) -> int:
    """Give the nanoseconds since the epoch; a ValueError where the text is no RFC 3339 instant."""
    second = _parse_second(text[:_SECOND_LENGTH])
    if len(text) == _FULL_LENGTH and text[19] == "." and text[29] == "Z" and text.isascii():
        fraction = text[20:29]
        if fraction.isdecimal():
            return second * NS_PER_S + int(fraction)
    return _parse_general(second, text)


def _parse_general(second: int, text: str) -> int:
    rest = _FRACTION_PATTERN.fullmatch(text, _SECOND_LENGTH)
    if rest is None:
        raise ValueError(f"{text!r} is not an RFC 3339 instant with at most 9 decimals")
    fraction, sign, hours, minutes = rest.groups()
    offset = (int(hours) * 3600 + int(minutes) * 60) * (1 if sign == "+" else -1) if sign else 0
    return (second - offset) * NS_PER_S + int((fraction or "").ljust(9, "0"))


# Quotes come many to a second: the second is parsed once, then only the nine digits behind it.
@lru_cache(maxsize=64)
def _parse_second(text: str) -> int:
    parts = _SECOND_PATTERN.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a date and time of day")
    year, month, day, hour, minute, second = map(int, parts.groups())
    days = date(year, month, day).toordinal() - _EPOCH_DAY
    return days * 86_400 + hour * 3600 + minute * 60 + second


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


def error_from_code(code: int, message: str) -> VenueRejected | VenueUnavailable:
    """Sort an error frame; a code nobody documented may pass, so it is tried again."""
    if code in PERMANENT_CODES:
        return VenueRejected(f"{code} {message}: {PERMANENT_CODES[code]}")
    return VenueUnavailable(f"{code} {message}: {RETRYABLE_CODES.get(code, 'unknown code')}")


def error_from_status(status: int) -> VenueRejected | VenueUnavailable:
    """Sort an HTTP answer to the upgrade: only a refusal that is about us is final."""
    if 300 <= status < 500 and status != 429:
        return VenueRejected(
            f"the venue rejected the connection with HTTP {status}: are stream_url and the credentials right?"
        )
    return VenueUnavailable(f"the venue replied to the connection with HTTP {status}")
