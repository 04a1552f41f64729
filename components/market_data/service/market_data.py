"""The market_data service: the quoting venue's desk and the books' desk behind one door."""

from typing import Any

from components.contracts.errors import InvariantError
from components.contracts.streams import BOOKS, MARKET, Stream
from components.market_data.core.events import DecodedFrame, FeedMessage, StockFeedDown, StockFeedUp, StockFrame
from components.market_data.service.order_books import OrderBookService
from components.market_data.service.quotes import QuoteService
from components.runtime.service import Effects, Inbound, VenueCallCompleted, VenueEvent


class MarketDataService:
    """Hears the feeds and nobody else; each desk knows its own venues."""

    def __init__(self, quotes: QuoteService | None, books: OrderBookService) -> None:
        """Take the desks; there is no quoting venue where no stock is listened to."""
        self._quotes, self._books = quotes, books

    def on_start(self, now_ns: int) -> Effects:
        """Say that nothing is known yet."""
        quotes = self._quotes.on_start(now_ns) if self._quotes else ()
        return [*quotes, *self._books.on_start(now_ns)]

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Hear an adapter, or its answer."""
        if isinstance(message, VenueEvent):
            said: FeedMessage = message.body
            if type(said) is DecodedFrame:
                return self._books.on_frame(said, now_ns)
            if not isinstance(said, StockFeedUp | StockFrame | StockFeedDown):
                return self._books.on_feed_message(said, now_ns)
            if self._quotes is not None:
                return self._quotes.on_feed_message(said, now_ns)
        if isinstance(message, VenueCallCompleted):
            return self._books.on_venue_reply(message.request, message.result, now_ns)
        raise InvariantError(f"market_data hears no {type(message).__name__}")

    def on_tick(self, now_ns: int) -> Effects:
        """Stop trusting what has grown old; ask for what is missing."""
        quotes = self._quotes.on_tick(now_ns) if self._quotes else ()
        return [*quotes, *self._books.on_tick(now_ns)]

    def on_stop(self, now_ns: int) -> Effects:
        """Say that these prices go on no longer."""
        quotes = self._quotes.on_stop(now_ns) if self._quotes else ()
        return [*quotes, *self._books.on_stop(now_ns)]

    def is_drained(self) -> bool:
        """Nothing here is ever left half done."""
        return True

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Give the present state of a stream, for whoever joins late."""
        if stream is MARKET:
            quotes = self._quotes.snapshot() if self._quotes else ()
            return (*quotes, *self._books.market_snapshot())
        if stream is BOOKS:
            return self._books.books_snapshot()
        raise InvariantError(f"market_data does not say {stream.name}")

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Name what readiness still waits for."""
        quotes = self._quotes.unmet(now_ns) if self._quotes else ()
        return (*quotes, *self._books.unmet(now_ns, is_only_source=self._quotes is None))
