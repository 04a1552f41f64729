"""The public channels of OKX: how deep, how often, who may listen, and in which order they are pushed."""

from msgspec import Struct

PUBLIC, BUSINESS = "public", "business"
BOOK_DEPTH_MAX = 400


class BookChannel(Struct, frozen=True):
    """A channel that carries a book."""

    name: str
    depth: int
    period_ms: int
    is_chained: bool  # a snapshot and then updates that name their predecessor; otherwise each push is whole
    needs_login: bool = False


# In the order in which one socket hears them for one instrument.
BOOKS = {
    one.name: one
    for one in (
        BookChannel("bbo-tbt", 1, 10, is_chained=False),
        BookChannel("books-l2-tbt", BOOK_DEPTH_MAX, 10, is_chained=True, needs_login=True),
        BookChannel("books50-l2-tbt", 50, 10, is_chained=True, needs_login=True),
        BookChannel("books", BOOK_DEPTH_MAX, 100, is_chained=True),
        BookChannel("books5", 5, 100, is_chained=False),
    )
}
TRADES, TRADES_ALL, TICKERS = "trades", "trades-all", "tickers"
TICKER_PERIOD_MS = 100
ENDPOINT_CHANNELS = {PUBLIC: frozenset({*BOOKS, TRADES, TICKERS}), BUSINESS: frozenset({TRADES_ALL})}
