"""The frames of OKX as texts: answers to requests, books, trades, tickers, notices."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from itertools import islice

import msgspec

from components.sandbox.core.decimals import format_decimal
from components.sandbox.okx.checksum import CHECKSUM_LEVELS, checksum
from components.sandbox.okx.cuts import ZERO, BookPush
from components.sandbox.okx.requests import ChannelArgument

Document = dict[str, object]
Level = tuple[Decimal, Decimal]
NOTICE_UPGRADE = "64008"


class ChecksumMode(StrEnum):
    """What stands in a book's field `checksum`."""

    ZERO = "zero"
    VALID = "valid"
    WRONG = "wrong"
    ABSENT = "absent"


def encode(document: object) -> str:
    """Write a document as the text of a frame."""
    return msgspec.json.encode(document).decode()


def subscription_ack(event: str, argument: ChannelArgument, request_id: str | None, connection_id: str) -> str:
    """Confirm one argument of a request."""
    return encode({**_id_field(request_id), "event": event, "arg": argument, "connId": connection_id})


def login_ack(connection_id: str) -> str:
    """Confirm a login."""
    return encode({"event": "login", "code": "0", "msg": "", "connId": connection_id})


def error_message(code: str, message: str, request_id: str | None, connection_id: str) -> str:
    """Refuse a request or one of its arguments."""
    return encode({**_id_field(request_id), "event": "error", "code": code, "msg": message, "connId": connection_id})


def upgrade_notice(connection_id: str) -> str:
    """Announce that this socket will be closed for an upgrade."""
    message = "The connection will soon be closed for a service upgrade. Please reconnect."
    return encode({"event": "notice", "code": NOTICE_UPGRADE, "msg": message, "connId": connection_id})


def level_rows(side: Iterable[Level]) -> list[tuple[str, str, str, str]]:
    """Write levels: price, size, a dead field, and a count of orders."""
    return [
        (format_decimal(price), format_decimal(quantity), "0", "0" if quantity == ZERO else "1")
        for price, quantity in side
    ]


def chained_book_message(argument: ChannelArgument, push: BookPush, at_ms: int, check: int | None) -> str:
    """Write a push of a chained channel."""
    data: Document = {"asks": level_rows(push.asks), "bids": level_rows(push.bids), "ts": str(at_ms)}
    if check is not None:
        data["checksum"] = check
    data |= {"prevSeqId": push.previous, "seqId": push.sequence}
    return encode({"arg": argument, "action": "snapshot" if push.is_snapshot else "update", "data": [data]})


def full_book_message(argument: ChannelArgument, push: BookPush, at_ms: int) -> str:
    """Write a push of a channel that repeats its whole book."""
    data = {"asks": level_rows(push.asks), "bids": level_rows(push.bids), "instId": argument.instId, "ts": str(at_ms)}
    return encode({"arg": argument, "data": [{**data, "seqId": push.sequence}]})


def checksum_field(mode: ChecksumMode, bids: Iterable[Level], asks: Iterable[Level]) -> int | None:
    """Compute what a book's field `checksum` says; nothing where there is no such field."""
    match mode:
        case ChecksumMode.ABSENT:
            return None
        case ChecksumMode.ZERO:
            return 0
        case ChecksumMode.VALID:
            return _book_checksum(bids, asks)
        case ChecksumMode.WRONG:
            # A zero would be skipped instead of compared.
            return _book_checksum(bids, asks) ^ 1 or 3


def _book_checksum(bids: Iterable[Level], asks: Iterable[Level]) -> int:
    return checksum(_level_texts(bids), _level_texts(asks))


def _level_texts(side: Iterable[Level]) -> list[tuple[str, str]]:
    return [(format_decimal(price), format_decimal(quantity)) for price, quantity in islice(side, CHECKSUM_LEVELS)]


def _id_field(request_id: str | None) -> Document:
    return {} if request_id is None else {"id": request_id}
