"""Deribit's documents: books, order books, tickers, quotes, trades, with their numbers as the venue prints them."""

from decimal import Decimal

from components.sandbox.deribit.lanes import MILLISECOND_NS, ZERO, BookChannelState, BookPush, LevelRow
from components.sandbox.deribit.numbers import json_number
from components.sandbox.flow.book import Levels, SimulatedBook
from components.sandbox.flow.listings import Instrument, InstrumentKind
from components.sandbox.flow.orders import SimTrade

TRADES_PER_INSTRUMENT_MAX = 10**9
Document = dict[str, object]


def book_document(symbol: str, moment: BookPush) -> Document:
    """Write a push of a book channel."""
    chained: Document = {} if moment.previous is None else {"prev_change_id": moment.previous}
    return {
        "type": "snapshot" if moment.previous is None else "change",
        "timestamp": moment.at_ms,
        **chained,
        "instrument_name": symbol,
        "change_id": moment.change_id,
        "bids": _rows(moment.bids),
        "asks": _rows(moment.asks),
    }


def order_book_document(listing: Instrument, book: SimulatedBook, depth: int, at_ms: int) -> Document:
    """Write the answer to a question for a book: all of a ticker, and levels."""
    bids, asks = book.top(depth)
    levels = {"bids": _pairs(bids), "asks": _pairs(asks), "change_id": book.id}
    return {**ticker_document(listing, book, None, at_ms), **levels}


def ticker_document(listing: Instrument, book: SimulatedBook, last: SimTrade | None, at_ms: int) -> Document:
    """Write an instrument's state; a side without levels is all zeros, which is no quote."""
    (bid, _), (ask, _) = bids, asks = _best(book)
    middle = json_number((bid + ask) / 2)
    price = json_number(listing.price)
    funding = {"current_funding": json_number(ZERO), "funding_8h": json_number(ZERO)}
    return {
        **_best_fields(bids, asks),
        **(funding if listing.kind is InstrumentKind.PERPETUAL else {}),
        "timestamp": at_ms,
        "state": "open",
        "stats": {"volume": json_number(ZERO), "price_change": None, "low": price, "high": price},
        "open_interest": json_number(ZERO),
        "min_price": price,
        "max_price": price,
        "mark_price": middle,
        "index_price": price,
        "last_price": None if last is None else json_number(last.price),
        "instrument_name": listing.symbol,
        "estimated_delivery_price": price,
    }


def quote_document(symbol: str, lane: BookChannelState, at_ms: int) -> Document:
    """Write the best prices."""
    bids, asks = _best(lane.book)
    return {**_best_fields(bids, asks), "timestamp": at_ms, "instrument_name": symbol}


def trade_document(listing: Instrument, index: int, fill: SimTrade) -> Document:
    """Write one trade; its id is of the venue, its sequence of the instrument."""
    price = json_number(fill.price)
    prefix = "" if listing.base == "BTC" else f"{listing.base}-"
    return {
        "trade_seq": fill.id,
        "trade_id": f"{prefix}{(index + 1) * TRADES_PER_INSTRUMENT_MAX + fill.id}",
        "timestamp": fill.at_ns // MILLISECOND_NS,
        "tick_direction": 0,
        "price": price,
        "mark_price": price,
        "index_price": json_number(listing.price),
        "instrument_name": listing.symbol,
        "direction": "buy" if fill.is_buy else "sell",
        "amount": json_number(fill.quantity),
        "contracts": json_number(fill.quantity / listing.contract),
        **({"iv": json_number(Decimal(55))} if listing.kind is InstrumentKind.OPTION else {}),
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
