"""Quotes, trades and bars as the data websocket says them."""

from components.sandbox.core.bars import Bar
from components.sandbox.core.decimals import cents_to_dollars
from components.sandbox.core.market import MarketTrade
from components.sandbox.core.matching import Quote

MarketDataDocument = dict[str, object]


def quote_document(quote: Quote) -> MarketDataDocument:
    """Describe a quote; sizes are shares."""
    return {
        "T": "q",
        "S": quote.symbol,
        "bx": "V",
        "bp": quote.bid,
        "bs": quote.bid_size,
        "ax": "V",
        "ap": quote.ask,
        "as": quote.ask_size,
        "c": ["R"],
        "z": "C",
    }


def trade_document(trade: MarketTrade, number: int) -> MarketDataDocument:
    """Describe a trade of the others."""
    return {
        "T": "t",
        "S": trade.symbol,
        "i": number,
        "x": "V",
        "p": cents_to_dollars(trade.price_cents),
        "s": trade.size,
        "c": ["@"],
        "z": "C",
    }


def bar_document(bar: Bar) -> MarketDataDocument:
    """Describe a finished minute."""
    return {
        "T": "b",
        "S": bar.symbol,
        "o": bar.open,
        "h": bar.high,
        "l": bar.low,
        "c": bar.close,
        "v": bar.volume,
        "n": bar.count,
        "vw": bar.average,
    }
