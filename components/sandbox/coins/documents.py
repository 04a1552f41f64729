"""What the sandbox's Alpaca lists of crypto, and how its stream says it: whole books, changes, quotes and trades."""

from decimal import Decimal

from components.sandbox.flow.book import Levels, SimulatedBook
from components.sandbox.flow.listings import Instrument
from components.sandbox.flow.orders import SimTrade

Document = dict[str, object]


def _instrument(base: str, tick: str, lot: str, price: str) -> Instrument:
    name = f"{base}/USD"
    return Instrument(symbol=name, base=base, quote="USD", tick=Decimal(tick), lot=Decimal(lot), price=Decimal(price))


INSTRUMENTS = (_instrument("BTC", "0.001", "0.000000001", "91000"), _instrument("ETH", "0.001", "0.000000001", "3000"))


def snapshot_document(symbol: str, book: SimulatedBook) -> Document:
    """Describe a whole book."""
    bids, asks = book.top(len(book.bids.prices) + len(book.asks.prices))
    return {**update_document(symbol, bids, asks), "r": True}


def update_document(symbol: str, bids: Levels, asks: Levels) -> Document:
    """Describe the levels that were touched; a size of 0 says that one is gone."""
    return {"T": "o", "S": symbol, "b": _levels(bids), "a": _levels(asks)}


def quote_document(symbol: str, book: SimulatedBook) -> Document:
    """Describe the best prices; where a side is empty they are 0."""
    (bid, bid_size), (ask, ask_size) = best_levels(book)
    return {"T": "q", "S": symbol, "bp": bid, "bs": bid_size, "ap": ask, "as": ask_size}


def trade_document(symbol: str, one: SimTrade) -> Document:
    """Describe a trade, and what its taker did."""
    taker = "B" if one.is_buy else "S"
    return {"T": "t", "S": symbol, "p": one.price, "s": one.quantity, "i": one.id, "tks": taker}


def best_levels(book: SimulatedBook) -> tuple[tuple[Decimal, Decimal], tuple[Decimal, Decimal]]:
    """Give the best bid and the best ask."""
    bids, asks = book.top(1)
    none = (Decimal(0), Decimal(0))
    return bids[0] if bids else none, asks[0] if asks else none


def _levels(levels: Levels) -> list[Document]:
    return [{"p": price, "s": quantity} for price, quantity in levels]
