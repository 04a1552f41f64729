"""Messages of the simulated Deribit: JSON-RPC envelopes and errors, numbers, books, quotes, tickers, trades."""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw, Struct

from components.sandbox.deribit.book_channels import BookChannelState, BookPush, LevelRow
from components.sandbox.numerics import MILLISECOND_NS, ZERO
from components.sandbox.simulation.instruments import Instrument, InstrumentKind
from components.sandbox.simulation.order_book import Levels, SimulatedBook
from components.sandbox.simulation.order_flow import SimTrade

MICROSECOND_NS = 1_000
PLAIN_EXPONENT_MIN = -4  # below 10^-4 the venue uses scientific notation, as most languages print floats
TRADES_PER_INSTRUMENT_MAX = 10**9
Document = dict[str, object]
RequestId = int | str | None


class RpcError(Struct, frozen=True):
    """An error as JSON-RPC carries it."""

    code: int
    message: str
    data: dict[str, str] | None = None


TOO_MANY_REQUESTS = RpcError(10028, "too_many_requests")
BAD_INSTRUMENT = RpcError(10020, "bad_instrument")
BAD_REQUEST = RpcError(11050, "bad_request")
INVALID_CREDENTIALS = RpcError(13004, "invalid_credentials")
UNAUTHORIZED = RpcError(13009, "unauthorized")
RAW_NEEDS_LOGIN = RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")
METHOD_NOT_FOUND = RpcError(-32601, "Method not found")
PARSE_ERROR = RpcError(-32700, "Parse error")


def invalid_params(parameter: str, reason: str) -> RpcError:
    """Return the error for an invalid parameter."""
    return RpcError(-32602, "Invalid params", {"param": parameter, "reason": reason})


class RpcRequest(Struct, frozen=True):
    """One call."""

    method: str
    id: RequestId = None
    params: dict[str, Any] = {}


def parse_request(text: str) -> RpcRequest | None:
    """Parse a call; return None where the text holds none."""
    try:
        return msgspec.json.decode(text, type=RpcRequest)
    except (msgspec.MsgspecError, ValueError):
        return None


def encode_reply(request_id: RequestId, outcome: object, in_ns: int, out_ns: int) -> bytes:
    """Encode the reply to a call, a result or an error, with the times of receipt and reply."""
    kind = "error" if isinstance(outcome, RpcError) else "result"
    in_us, out_us = in_ns // MICROSECOND_NS, out_ns // MICROSECOND_NS
    stamps = {"usIn": in_us, "usOut": out_us, "usDiff": out_us - in_us, "testnet": False}
    named: Document = {} if request_id is None else {"id": request_id}
    return msgspec.json.encode({"jsonrpc": "2.0", **named, kind: outcome, **stamps})


def encode_notification(channel: str, data: object) -> str:
    """Encode a notification to the subscribers of a channel."""
    params = {"channel": channel, "data": data}
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "subscription", "params": params}).decode()


def encode_heartbeat(kind: str) -> str:
    """Encode a heartbeat: `heartbeat`, or `test_request`, which demands a reply."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": kind}}).decode()


def json_number(value: Decimal) -> Raw:
    """Return a decimal as a JSON number the way Deribit prints it.

    Whole numbers end with `.0`, tiny ones carry an exponent.
    """
    return Raw(_number_text(value).encode())


def _number_text(value: Decimal) -> str:
    if value == 0:
        return "0.0"
    if value.adjusted() < PLAIN_EXPONENT_MIN:
        return _scientific(value)
    text = format(value, "f")
    if "." not in text:
        return text + ".0"
    whole, part = text.split(".")
    return f"{whole}.{part.rstrip('0') or '0'}"


def _scientific(value: Decimal) -> str:
    sign, digits, _ = value.normalize().as_tuple()
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    mantissa = f"{first}.{rest}" if rest else first
    return f"{'-' if sign else ''}{mantissa}e-{-value.adjusted():02d}"


def book_document(symbol: str, push: BookPush) -> Document:
    """Return the data of a book notification."""
    chained: Document = {} if push.prev_change_id is None else {"prev_change_id": push.prev_change_id}
    return {
        "type": "snapshot" if push.prev_change_id is None else "change",
        "timestamp": push.at_ms,
        **chained,
        "instrument_name": symbol,
        "change_id": push.change_id,
        "bids": _rows(push.bids),
        "asks": _rows(push.asks),
    }


def order_book_document(instrument: Instrument, book: SimulatedBook, depth: int, at_ms: int) -> Document:
    """Return the result of get_order_book: a ticker and levels."""
    bids, asks = book.top(depth)
    levels = {"bids": _pairs(bids), "asks": _pairs(asks), "change_id": book.id}
    return {**ticker_document(instrument, book, None, at_ms), **levels}


def ticker_document(instrument: Instrument, book: SimulatedBook, last: SimTrade | None, at_ms: int) -> Document:
    """Return the ticker of an instrument; an empty side is all zeros."""
    (bid, _), (ask, _) = bids, asks = _best(book)
    middle = json_number((bid + ask) / 2)
    price = json_number(instrument.price)
    funding = {"current_funding": json_number(ZERO), "funding_8h": json_number(ZERO)}
    return {
        **_best_fields(bids, asks),
        **(funding if instrument.kind is InstrumentKind.PERPETUAL else {}),
        "timestamp": at_ms,
        "state": "open",
        "stats": {"volume": json_number(ZERO), "price_change": None, "low": price, "high": price},
        "open_interest": json_number(ZERO),
        "min_price": price,
        "max_price": price,
        "mark_price": middle,
        "index_price": price,
        "last_price": None if last is None else json_number(last.price),
        "instrument_name": instrument.symbol,
        "estimated_delivery_price": price,
    }


def quote_document(symbol: str, state: BookChannelState, at_ms: int) -> Document:
    """Return the best bid and ask."""
    bids, asks = _best(state.book)
    return {**_best_fields(bids, asks), "timestamp": at_ms, "instrument_name": symbol}


def trade_document(instrument: Instrument, index: int, fill: SimTrade) -> Document:
    """Return one trade; its id is unique in the venue, its sequence counts the trades of the instrument."""
    price = json_number(fill.price)
    prefix = "" if instrument.base == "BTC" else f"{instrument.base}-"
    return {
        "trade_seq": fill.id,
        "trade_id": f"{prefix}{(index + 1) * TRADES_PER_INSTRUMENT_MAX + fill.id}",
        "timestamp": fill.at_ns // MILLISECOND_NS,
        "tick_direction": 0,
        "price": price,
        "mark_price": price,
        "index_price": json_number(instrument.price),
        "instrument_name": instrument.symbol,
        "direction": "buy" if fill.is_buy else "sell",
        "amount": json_number(fill.quantity),
        "contracts": json_number(fill.quantity / instrument.contract),
        **({"iv": json_number(Decimal(55))} if instrument.kind is InstrumentKind.OPTION else {}),
    }


def _best(book: SimulatedBook) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
    bids, asks = book.top(1)
    return (bids or [(ZERO, ZERO)])[0], (asks or [(ZERO, ZERO)])[0]


def _best_fields(bid: tuple[Decimal, Decimal], ask: tuple[Decimal, Decimal]) -> Document:
    return {
        "best_bid_price": json_number(bid[0]),
        "best_bid_amount": json_number(bid[1]),
        "best_ask_price": json_number(ask[0]),
        "best_ask_amount": json_number(ask[1]),
    }


def _rows(rows: list[LevelRow]) -> list[tuple[object, ...]]:
    return [(row.action, json_number(row.price), json_number(row.amount)) for row in rows]


def _pairs(levels: Levels) -> list[tuple[object, ...]]:
    return [(json_number(price), json_number(amount)) for price, amount in levels]
