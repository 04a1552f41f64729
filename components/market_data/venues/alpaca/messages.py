"""Wire messages of Alpaca's stock stream, RFC 3339 timestamps, and the meaning of Alpaca's error codes.

Field names are Alpaca's own. Timestamps become whole nanoseconds without passing through a float or a microsecond.
Error codes and HTTP statuses become VenueUnavailable (retry) or VenueRejected (a retry cannot succeed).
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
from components.runtime.clock import NS_PER_S

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_SECOND_PATTERN: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt]([01]\d|2[0-3]):([0-5]\d):([0-5]\d)", re.ASCII)
_FRACTION_PATTERN: Final = re.compile(r"(?:\.(\d{1,9}))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII)
_SECOND_LENGTH: Final = len("2026-11-20T14:31:24")
_FULL_LENGTH: Final = len("2026-11-20T14:31:24.700123456Z")
KNOWN_TYPES: Final = frozenset({"t", "q", "success", "error", "subscription"})
"""A message of any other type is counted as unknown, not as malformed."""
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
    """Return the nanoseconds since the epoch; raise ValueError where the text is not an RFC 3339 instant."""
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


# Many quotes arrive within one second: the date and second are parsed once and cached, only the nine digits behind them
# are parsed each time.
@lru_cache(maxsize=64)
def _parse_second(text: str) -> int:
    parts = _SECOND_PATTERN.fullmatch(text)
    if parts is None:
        raise ValueError(f"{text!r} is not a date and time of day")
    year, month, day, hour, minute, second = map(int, parts.groups())
    days = date(year, month, day).toordinal() - _EPOCH_DAY
    return days * 86_400 + hour * 3600 + minute * 60 + second


class StockTrade(Struct, frozen=True, gc=False, tag_field="T", tag="t"):
    """A trade: price, size, time."""

    S: str
    p: Decimal
    s: Decimal
    t: str


class StockQuote(Struct, frozen=True, gc=False, tag_field="T", tag="q"):
    """The best bid and ask; a price of 0 means that the side is empty."""

    S: str
    bp: Decimal
    bs: Decimal
    ap: Decimal
    ask_size: Decimal = field(name="as")
    t: str


class Success(Struct, frozen=True, gc=False, tag_field="T", tag="success"):
    """A step of the handshake succeeded."""

    msg: str


class ErrorMessage(Struct, frozen=True, gc=False, tag_field="T", tag="error"):
    """An error sent by the venue."""

    code: int
    msg: str


class StockSubscription(Struct, frozen=True, gc=False, tag_field="T", tag="subscription"):
    """The complete set of subscriptions after a change."""

    trades: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ()


StockMessage: TypeAlias = StockTrade | StockQuote | Success | ErrorMessage | StockSubscription


class Authenticate(Struct, frozen=True, gc=False, tag_field="action", tag="auth"):
    """The login request."""

    key: str
    secret: str


class SubscribeStocks(Struct, frozen=True, gc=False, tag_field="action", tag="subscribe"):
    """The subscribe request."""

    trades: tuple[str, ...]
    quotes: tuple[str, ...]


class DecodedStockFrame(Struct, frozen=True, gc=False):
    """The decoded messages of one frame, and the counts of unknown and malformed ones."""

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
    """Decode a frame in one pass, or message by message where that fails."""
    try:
        return DecodedStockFrame(_frame_decoder.decode(frame))
    except DECODE_ERRORS:
        return _decode_parts(frame)


def encode_request(message: Authenticate | SubscribeStocks) -> str:
    """Encode a request as the text frame that the venue expects."""
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
    """Return the exception for an error frame; an undocumented code may be temporary, so it is retried."""
    if code in PERMANENT_CODES:
        return VenueRejected(f"{code} {message}: {PERMANENT_CODES[code]}")
    return VenueUnavailable(f"{code} {message}: {RETRYABLE_CODES.get(code, 'unknown code')}")


def error_from_status(status: int) -> VenueRejected | VenueUnavailable:
    """Return the exception for the HTTP status of a rejected upgrade; only a client error is permanent."""
    if 300 <= status < 500 and status != 429:
        return VenueRejected(
            f"the venue rejected the connection with HTTP {status}: are stream_url and the credentials right?"
        )
    return VenueUnavailable(f"the venue replied to the connection with HTTP {status}")
