"""What is wrong with a venue's quote or trade, if anything, so that it is counted and goes no further."""

from components.contracts.market import Quote, Trade
from components.contracts.values import ZERO
from components.market_data.core.book import is_in_range
from components.market_data.core.feed import IssueKind


def quote_issue(quote: Quote) -> IssueKind | None:
    """Say what is wrong with a quote; a price of zero means that side is absent."""
    good = is_in_range(quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)
    return None if good else IssueKind.OUT_OF_RANGE


def trade_issue(trade: Trade) -> IssueKind | None:
    """Say what is wrong with a print."""
    good = is_in_range(trade.price, trade.size) and trade.price > ZERO and trade.size > ZERO
    return None if good else IssueKind.OUT_OF_RANGE
