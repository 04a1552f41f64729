"""The frames of OKX as texts: answers to requests, books, trades, tickers, notices."""

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum
from itertools import islice

import msgspec

from components.sandbox.core.decimals import plain
from components.sandbox.okx.checksum import LEVELS, checksum
from components.sandbox.okx.cuts import ZERO, Push
from components.sandbox.okx.requests import Argument

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


def acknowledged(event: str, argument: Argument, request_id: str | None, connection_id: str) -> str:
    """Confirm one argument of a request."""
    return encode({**_named(request_id), "event": event, "arg": argument, "connId": connection_id})


def logged_in(connection_id: str) -> str:
    """Confirm a login."""
    return encode({"event": "login", "code": "0", "msg": "", "connId": connection_id})


def error(code: str, message: str, request_id: str | None, connection_id: str) -> str:
    """Refuse a request or one of its arguments."""
    return encode({**_named(request_id), "event": "error", "code": code, "msg": message, "connId": connection_id})


def notice(connection_id: str) -> str:
    """Announce that this socket will be closed for an upgrade."""
    message = "The connection will soon be closed for a service upgrade. Please reconnect."
    return encode({"event": "notice", "code": NOTICE_UPGRADE, "msg": message, "connId": connection_id})


def levels(side: Iterable[Level]) -> list[tuple[str, str, str, str]]:
    """Write levels: price, size, a dead field, and a count of orders."""
    return [(plain(price), plain(quantity), "0", "0" if quantity == ZERO else "1") for price, quantity in side]


def book_update(argument: Argument, push: Push, at_ms: int, check: int | None) -> str:
    """Write a push of a chained channel."""
    data: Document = {"asks": levels(push.asks), "bids": levels(push.bids), "ts": str(at_ms)}
    if check is not None:
        data["checksum"] = check
    data |= {"prevSeqId": push.previous, "seqId": push.sequence}
    return encode({"arg": argument, "action": "snapshot" if push.is_snapshot else "update", "data": [data]})


def book_whole(argument: Argument, push: Push, at_ms: int) -> str:
    """Write a push of a channel that repeats its whole book."""
    data = {"asks": levels(push.asks), "bids": levels(push.bids), "instId": argument.instId, "ts": str(at_ms)}
    return encode({"arg": argument, "data": [{**data, "seqId": push.sequence}]})


def check_value(mode: ChecksumMode, bids: Iterable[Level], asks: Iterable[Level]) -> int | None:
    """Compute what a book's field `checksum` says; nothing where there is no such field."""
    match mode:
        case ChecksumMode.ABSENT:
            return None
        case ChecksumMode.ZERO:
            return 0
        case ChecksumMode.VALID:
            return _true_checksum(bids, asks)
        case ChecksumMode.WRONG:
            # A zero would be skipped instead of compared.
            return _true_checksum(bids, asks) ^ 1 or 3


def _true_checksum(bids: Iterable[Level], asks: Iterable[Level]) -> int:
    return checksum(_texts(bids), _texts(asks))


def _texts(side: Iterable[Level]) -> list[tuple[str, str]]:
    return [(plain(price), plain(quantity)) for price, quantity in islice(side, LEVELS)]


def _named(request_id: str | None) -> Document:
    return {} if request_id is None else {"id": request_id}
