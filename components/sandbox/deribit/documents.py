"""Deribit's documents: books, order books, tickers, quotes, trades, with their numbers as the venue prints them."""

from decimal import Decimal

from components.sandbox.deribit.lanes import MILLISECOND_NS, ZERO, Lane, Moment, Row
from components.sandbox.deribit.numbers import number
from components.sandbox.flow.book import FlowBook, Levels
from components.sandbox.flow.listings import Kind, Listing
from components.sandbox.flow.orders import Print

TRADES_PER_INSTRUMENT_MAX = 10**9
Document = dict[str, object]


def book_change(symbol: str, moment: Moment) -> Document:
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


def order_book(listing: Listing, book: FlowBook, depth: int, at_ms: int) -> Document:
    """Write the answer to a question for a book: all of a ticker, and levels."""
    bids, asks = book.top(depth)
    levels = {"bids": _pairs(bids), "asks": _pairs(asks), "change_id": book.id}
    return {**ticker(listing, book, None, at_ms), **levels}


def ticker(listing: Listing, book: FlowBook, last: Print | None, at_ms: int) -> Document:
    """Write an instrument's state; a side without levels is all zeros, which is no quote."""
    (bid, _), (ask, _) = bids, asks = _best(book)
    middle = number((bid + ask) / 2)
    price = number(listing.price)
    funding = {"current_funding": number(ZERO), "funding_8h": number(ZERO)}
    return {
        **_named_best(bids, asks),
        **(funding if listing.kind is Kind.PERPETUAL else {}),
        "timestamp": at_ms,
        "state": "open",
        "stats": {"volume": number(ZERO), "price_change": None, "low": price, "high": price},
        "open_interest": number(ZERO),
        "min_price": price,
        "max_price": price,
        "mark_price": middle,
        "index_price": price,
        "last_price": None if last is None else number(last.price),
        "instrument_name": listing.symbol,
        "estimated_delivery_price": price,
    }


def quote(symbol: str, lane: Lane, at_ms: int) -> Document:
    """Write the best prices."""
    bids, asks = _best(lane.book)
    return {**_named_best(bids, asks), "timestamp": at_ms, "instrument_name": symbol}


def trade(listing: Listing, place: int, fill: Print) -> Document:
    """Write one trade; its id is of the venue, its sequence of the instrument."""
    price = number(fill.price)
    prefix = "" if listing.base == "BTC" else f"{listing.base}-"
    return {
        "trade_seq": fill.id,
        "trade_id": f"{prefix}{(place + 1) * TRADES_PER_INSTRUMENT_MAX + fill.id}",
        "timestamp": fill.at_ns // MILLISECOND_NS,
        "tick_direction": 0,
        "price": price,
        "mark_price": price,
        "index_price": number(listing.price),
        "instrument_name": listing.symbol,
        "direction": "buy" if fill.is_buy else "sell",
        "amount": number(fill.quantity),
        "contracts": number(fill.quantity / listing.contract),
        **({"iv": number(Decimal(55))} if listing.kind is Kind.OPTION else {}),
    }


def _best(book: FlowBook) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
    bids, asks = book.top(1)
    return (bids or [(ZERO, ZERO)])[0], (asks or [(ZERO, ZERO)])[0]


def _named_best(bid: tuple[Decimal, Decimal], ask: tuple[Decimal, Decimal]) -> Document:
    return {
        "best_bid_price": number(bid[0]),
        "best_bid_amount": number(bid[1]),
        "best_ask_price": number(ask[0]),
        "best_ask_amount": number(ask[1]),
    }


def _rows(rows: list[Row]) -> list[tuple[object, ...]]:
    return [(row.action, number(row.price), number(row.amount)) for row in rows]


def _pairs(levels: Levels) -> list[tuple[object, ...]]:
    return [(number(price), number(amount)) for price, amount in levels]
