"""Trades and tickers as OKX tells them: fills of one price merged, the day in one line."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from components.sandbox.core.decimals import plain
from components.sandbox.flow.listings import Listing
from components.sandbox.flow.orders import OrderFlow, Print
from components.sandbox.okx.instruments import TYPES

MILLISECOND_NS = 1_000_000
Document = dict[str, object]


class Merged(NamedTuple):
    """Fills of one taker at one price: the last of them, their number, their whole size."""

    last: Print
    fills: int
    size: Decimal


def merge(prints: Iterable[Print]) -> list[Merged]:
    """Merge neighbours of one moment, price and side."""
    merged: list[Merged] = []
    for one in prints:
        if merged and _belong_together(merged[-1].last, one):
            before = merged.pop()
            merged.append(Merged(one, before.fills + 1, before.size + one.quantity))
        else:
            merged.append(Merged(one, 1, one.quantity))
    return merged


def trade(symbol: str, merged: Merged, sequence: int) -> Document:
    """Write a push of `trades`; its `count` says how many ids up to this one it covers."""
    single = trade_fill(symbol, merged.last, sequence)
    return {**single, "sz": plain(merged.size), "count": str(merged.fills)}


def trade_fill(symbol: str, fill: Print, sequence: int) -> Document:
    """Write a push of `trades-all`."""
    return {
        "instId": symbol,
        "tradeId": str(fill.id),
        "px": plain(fill.price),
        "sz": plain(fill.quantity),
        "side": "buy" if fill.is_buy else "sell",
        "ts": str(fill.at_ns // MILLISECOND_NS),
        "source": "0",
        "seqId": sequence,
    }


def ticker(listing: Listing, flow: OrderFlow) -> Document:
    """Write an instrument's day: best prices, last trade; empty texts for what is not there."""
    bids, asks = flow.book(listing.symbol).top(1)
    prints = flow.prints_after(listing.symbol, flow.prints_count(listing.symbol) - 1)
    (bid, bid_size), (ask, ask_size) = _texts(bids), _texts(asks)
    last, last_size = _texts([(one.price, one.quantity) for one in prints])
    day = dict.fromkeys(("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), plain(listing.price))
    return {
        "instType": TYPES[listing.kind],
        "instId": listing.symbol,
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


def _texts(levels: list[tuple[Decimal, Decimal]]) -> tuple[str, str]:
    return (plain(levels[0][0]), plain(levels[0][1])) if levels else ("", "")


def _belong_together(one: Print, other: Print) -> bool:
    return (one.at_ns, one.price, one.is_buy) == (other.at_ns, other.price, other.is_buy)
