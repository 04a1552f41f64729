"""Trades and tickers as OKX tells them: fills of one price merged, the day in one line."""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from components.sandbox.core.decimals import format_decimal
from components.sandbox.flow.listings import Instrument
from components.sandbox.flow.orders import OrderFlow, SimTrade
from components.sandbox.okx.instruments import TYPE_NAMES

MILLISECOND_NS = 1_000_000
Document = dict[str, object]


class MergedTrade(NamedTuple):
    """Fills of one taker at one price: the last of them, their number, their whole size."""

    last: SimTrade
    fills: int
    size: Decimal


def merge_fills(prints: Iterable[SimTrade]) -> list[MergedTrade]:
    """Merge neighbours of one moment, price and side."""
    merged: list[MergedTrade] = []
    for one in prints:
        if merged and _is_same_trade(merged[-1].last, one):
            before = merged.pop()
            merged.append(MergedTrade(one, before.fills + 1, before.size + one.quantity))
        else:
            merged.append(MergedTrade(one, 1, one.quantity))
    return merged


def trade_document(symbol: str, merged: MergedTrade, sequence: int) -> Document:
    """Write a push of `trades`; its `count` says how many ids up to this one it covers."""
    single = fill_document(symbol, merged.last, sequence)
    return {**single, "sz": format_decimal(merged.size), "count": str(merged.fills)}


def fill_document(symbol: str, fill: SimTrade, sequence: int) -> Document:
    """Write a push of `trades-all`."""
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


def ticker_document(listing: Instrument, flow: OrderFlow) -> Document:
    """Write an instrument's day: best prices, last trade; empty texts for what is not there."""
    bids, asks = flow.book(listing.symbol).top(1)
    prints = flow.trades_after(listing.symbol, flow.last_trade_id(listing.symbol) - 1)
    (bid, bid_size), (ask, ask_size) = _best_texts(bids), _best_texts(asks)
    last, last_size = _best_texts([(one.price, one.quantity) for one in prints])
    day = dict.fromkeys(("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8"), format_decimal(listing.price))
    return {
        "instType": TYPE_NAMES[listing.kind],
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


def _best_texts(levels: list[tuple[Decimal, Decimal]]) -> tuple[str, str]:
    return (format_decimal(levels[0][0]), format_decimal(levels[0][1])) if levels else ("", "")


def _is_same_trade(one: SimTrade, other: SimTrade) -> bool:
    return (one.at_ns, one.price, one.is_buy) == (other.at_ns, other.price, other.is_buy)
