"""Messages of the simulated OKX: parsed requests, encoded replies, books, trades, tickers; the behavior settings."""

import base64
import hmac
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import islice, zip_longest
from typing import NamedTuple

import msgspec
from msgspec import Struct

from components.sandbox.numerics import MILLISECOND_NS, ZERO, format_decimal
from components.sandbox.okx.book_channels import BookPush, Level
from components.sandbox.okx.instruments import TYPE_NAMES
from components.sandbox.simulation.instruments import Instrument
from components.sandbox.simulation.order_flow import OrderFlow, SimTrade
from components.sandbox.transport.http_server import AdminError

REQUEST_BYTES_MAX = 64 * 1024
CHECKSUM_LEVELS = 25  # per side
NOTICE_UPGRADE = "64008"
_LOGIN_PATH = "GET/users/self/verify"
SWITCH_VALUES = {"on": True, "off": False}
Document = dict[str, object]
LevelText = tuple[str, str]


class Operation(StrEnum):
    """The operations of a request."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    LOGIN = "login"


class ChannelArgument(Struct, frozen=True, omit_defaults=True):
    """One channel of one instrument."""

    channel: str
    instId: str = ""  # noqa: N815 - the venue's word


class LoginArgument(Struct, frozen=True):
    """The login: a timestamp signed with the secret."""

    apiKey: str  # noqa: N815 - the venue's word
    timestamp: str
    sign: str
    passphrase: str = ""


class Request(Struct, frozen=True):
    """A request whose arguments are not parsed yet."""

    op: Operation
    args: list[msgspec.Raw]
    id: str | None = None


def parse_request(text: str) -> Request | None:
    """Parse a request; return None where the text holds none."""
    if len(text) > REQUEST_BYTES_MAX:
        return None
    try:
        return msgspec.json.decode(text, type=Request)
    except (msgspec.MsgspecError, ValueError):
        return None


def parse_arguments(request: Request) -> list[ChannelArgument] | None:
    """Parse the channels of a request; return None where one is malformed or there are none."""
    try:
        return [msgspec.json.decode(one, type=ChannelArgument) for one in request.args] or None
    except (msgspec.MsgspecError, ValueError):
        return None


def parse_login(request: Request) -> LoginArgument | None:
    """Parse the first login of a request; return None where there is none."""
    try:
        return msgspec.json.decode(request.args[0], type=LoginArgument)
    except (msgspec.MsgspecError, ValueError, IndexError):
        return None


def is_valid_login(login: LoginArgument, key: str, secret: str) -> bool:
    """Return whether a login carries this key and is signed with its secret."""
    digest = hmac.digest(secret.encode(), (login.timestamp + _LOGIN_PATH).encode(), "sha256")
    return hmac.compare_digest(login.sign.encode(), base64.b64encode(digest)) and login.apiKey == key


def checksum(bids: Sequence[LevelText], asks: Sequence[LevelText]) -> int:
    """Return the signed CRC-32 of 25 levels per side, interleaved, over their exact texts; sides are best first."""
    pairs = zip_longest(bids[:CHECKSUM_LEVELS], asks[:CHECKSUM_LEVELS])
    text = ":".join(f"{price}:{size}" for pair in pairs for price, size in filter(None, pair))
    return _signed(zlib.crc32(text.encode()))


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value


class ChecksumMode(StrEnum):
    """What the field `checksum` of a book holds."""

    ZERO = "zero"
    VALID = "valid"
    WRONG = "wrong"
    ABSENT = "absent"


def encode(document: object) -> str:
    """Encode a document as the text of a frame."""
    return msgspec.json.encode(document).decode()


def subscription_ack(event: str, argument: ChannelArgument, request_id: str | None, connection_id: str) -> str:
    """Encode the confirmation of one argument of a request."""
    return encode({**_id_field(request_id), "event": event, "arg": argument, "connId": connection_id})


def login_ack(connection_id: str) -> str:
    """Encode the confirmation of a login."""
    return encode({"event": "login", "code": "0", "msg": "", "connId": connection_id})


def error_message(code: str, message: str, request_id: str | None, connection_id: str) -> str:
    """Encode the rejection of a request or of one of its arguments."""
    return encode({**_id_field(request_id), "event": "error", "code": code, "msg": message, "connId": connection_id})


def upgrade_notice(connection_id: str) -> str:
    """Encode the notice that this connection will be closed for an upgrade."""
    message = "The connection will soon be closed for a service upgrade. Please reconnect."
    return encode({"event": "notice", "code": NOTICE_UPGRADE, "msg": message, "connId": connection_id})


def level_rows(side: Iterable[Level]) -> list[tuple[str, str, str, str]]:
    """Return levels as rows: price, size, an unused field, number of orders."""
    return [
        (format_decimal(price), format_decimal(quantity), "0", "0" if quantity == ZERO else "1")
        for price, quantity in side
    ]


def chained_book_message(argument: ChannelArgument, push: BookPush, at_ms: int, check: int | None) -> str:
    """Encode a push of a chained channel."""
    data: Document = {"asks": level_rows(push.asks), "bids": level_rows(push.bids), "ts": str(at_ms)}
    if check is not None:
        data["checksum"] = check
    data |= {"prevSeqId": push.prev_sequence, "seqId": push.sequence}
    return encode({"arg": argument, "action": "snapshot" if push.is_snapshot else "update", "data": [data]})


def full_book_message(argument: ChannelArgument, push: BookPush, at_ms: int) -> str:
    """Encode a push of a channel that sends full books."""
    data = {"asks": level_rows(push.asks), "bids": level_rows(push.bids), "instId": argument.instId, "ts": str(at_ms)}
    return encode({"arg": argument, "data": [{**data, "seqId": push.sequence}]})


def checksum_field(mode: ChecksumMode, bids: Iterable[Level], asks: Iterable[Level]) -> int | None:
    """Return the value of the field `checksum`; None where the field is absent."""
    match mode:
        case ChecksumMode.ABSENT:
            return None
        case ChecksumMode.ZERO:
            return 0
        case ChecksumMode.VALID:
            return _book_checksum(bids, asks)
        case ChecksumMode.WRONG:
            # A client skips a zero instead of comparing it.
            return _book_checksum(bids, asks) ^ 1 or 3


def _book_checksum(bids: Iterable[Level], asks: Iterable[Level]) -> int:
    return checksum(_level_texts(bids), _level_texts(asks))


def _level_texts(side: Iterable[Level]) -> list[tuple[str, str]]:
    return [(format_decimal(price), format_decimal(quantity)) for price, quantity in islice(side, CHECKSUM_LEVELS)]


def _id_field(request_id: str | None) -> Document:
    return {} if request_id is None else {"id": request_id}


class MergedTrade(NamedTuple):
    """Fills of one taker at one price: the last fill, their number, their total size."""

    last: SimTrade
    fills: int
    size: Decimal


def merge_fills(trades: Iterable[SimTrade]) -> list[MergedTrade]:
    """Merge consecutive fills of the same time, price and side."""
    merged: list[MergedTrade] = []
    for one in trades:
        if merged and _is_same_trade(merged[-1].last, one):
            before = merged.pop()
            merged.append(MergedTrade(one, before.fills + 1, before.size + one.quantity))
        else:
            merged.append(MergedTrade(one, 1, one.quantity))
    return merged


def trade_document(symbol: str, merged: MergedTrade, sequence: int) -> Document:
    """Return a push of `trades`; `count` is the number of trade ids that it covers."""
    single = fill_document(symbol, merged.last, sequence)
    return {**single, "sz": format_decimal(merged.size), "count": str(merged.fills)}


def fill_document(symbol: str, fill: SimTrade, sequence: int) -> Document:
    """Return a push of `trades-all`."""
    return {
        "instId": symbol,
        "tradeId": str(fill.id),
        "px": format_decimal(fill.price),
        "sz": format_decimal(fill.quantity),
        "side": "buy" if fill.is_buy else "sell",
        "ts": str(fill.at_ns // MILLISECOND_NS),
        "source": "0",
        "seqId": sequence,
    }


def ticker_document(instrument: Instrument, flow: OrderFlow) -> Document:
    """Return the ticker of an instrument: best prices, last trade; empty texts for what does not exist."""
    bids, asks = flow.book(instrument.symbol).top(1)
    trades = flow.trades_after(instrument.symbol, flow.last_trade_id(instrument.symbol) - 1)
    (bid, bid_size), (ask, ask_size) = _best_texts(bids), _best_texts(asks)
    last, last_size = _best_texts([(one.price, one.quantity) for one in trades])
    day = dict.fromkeys(("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), format_decimal(instrument.price))
    return {
        "instType": TYPE_NAMES[instrument.kind],
        "instId": instrument.symbol,
        "last": last,
        "lastSz": last_size,
        "askPx": ask,
        "askSz": ask_size,
        "bidPx": bid,
        "bidSz": bid_size,
        **day,
        "volCcy24h": "0",
        "vol24h": "0",
    }


def _best_texts(levels: list[tuple[Decimal, Decimal]]) -> tuple[str, str]:
    return (format_decimal(levels[0][0]), format_decimal(levels[0][1])) if levels else ("", "")


def _is_same_trade(one: SimTrade, other: SimTrade) -> bool:
    return (one.at_ns, one.price, one.is_buy) == (other.at_ns, other.price, other.is_buy)


BEHAVIOR_CHOICES: dict[str, dict[str, object]] = {
    "checksum": {str(one): one for one in ChecksumMode},
    "ws_snapshot": dict(SWITCH_VALUES),
    "rest_seq_id": dict(SWITCH_VALUES),
    "vip": dict(SWITCH_VALUES),
}


@dataclass(slots=True)
class BehaviorSettings:
    """The current behavior of the venue; the defaults are those of the real venue today."""

    checksum: ChecksumMode = ChecksumMode.ZERO
    ws_snapshot: bool = True  # a new subscriber of a chained channel receives a snapshot
    rest_seq_id: bool = True  # REST books carry their sequence id
    vip: bool = False  # the fee tier of a logged-in client suffices for tick-by-tick books

    def set(self, name: str, value: str) -> None:
        """Change one setting by name."""
        if name not in BEHAVIOR_CHOICES:
            raise AdminError(f"no mode {name!r}, there are {', '.join(BEHAVIOR_CHOICES)}")
        if value not in BEHAVIOR_CHOICES[name]:
            raise AdminError(f"mode {name!r} is one of {', '.join(BEHAVIOR_CHOICES[name])}")
        setattr(self, name, BEHAVIOR_CHOICES[name][value])
