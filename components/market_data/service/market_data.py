"""The market_data service: routes inbound messages to the stock quote service and the order book service."""

from typing import Any

from components.contracts.errors import InvariantError
from components.contracts.streams import BOOKS, MARKET, Stream
from components.market_data.core.events import DecodedFrame, FeedMessage, StockFeedDown, StockFeedUp, StockFrame
from components.market_data.service.order_books import OrderBookService
from components.market_data.service.quotes import QuoteService
from components.runtime.service import Effects, Inbound, VenueCallCompleted, VenueEvent


class MarketDataService:
    """Receives feed messages only; each of the two services owns its venues."""

    def __init__(self, quotes: QuoteService | None, books: OrderBookService) -> None:
        """Combine both services; `quotes` is None if no stock is configured."""
        self._quotes, self._books = quotes, books

    def on_start(self, now_ns: int) -> Effects:
        """Publish that no state is known yet."""
        quotes = self._quotes.on_start(now_ns) if self._quotes else ()
        return [*quotes, *self._books.on_start(now_ns)]

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        """Handle a message of a feed, or the reply to a request."""
        if isinstance(message, VenueEvent):
            event: FeedMessage = message.body
            if type(event) is DecodedFrame:
                return self._books.on_frame(event, now_ns)
            if not isinstance(event, StockFeedUp | StockFrame | StockFeedDown):
                return self._books.on_feed_message(event, now_ns)
            if self._quotes is not None:
                return self._quotes.on_feed_message(event, now_ns)
        if isinstance(message, VenueCallCompleted):
            return self._books.on_venue_reply(message.request, message.result, now_ns)
        raise InvariantError(f"market_data does not handle {type(message).__name__}")

    def on_tick(self, now_ns: int) -> Effects:
        """Mark old prices as stale and request missing snapshots."""
        quotes = self._quotes.on_tick(now_ns) if self._quotes else ()
        return [*quotes, *self._books.on_tick(now_ns)]

    def on_stop(self, now_ns: int) -> Effects:
        """Publish that these prices are no longer updated."""
        quotes = self._quotes.on_stop(now_ns) if self._quotes else ()
        return [*quotes, *self._books.on_stop(now_ns)]

    def is_drained(self) -> bool:
        """Return True: the service has no unfinished work."""
        return True

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        """Return the current state of a stream for late subscribers."""
        if stream is MARKET:
            quotes = self._quotes.snapshot() if self._quotes else ()
            return (*quotes, *self._books.market_snapshot())
        if stream is BOOKS:
            return self._books.books_snapshot()
        raise InvariantError(f"market_data does not publish {stream.name}")

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        """Return the conditions that readiness still waits for."""
        quotes = self._quotes.unmet(now_ns) if self._quotes else ()
        return (*quotes, *self._books.unmet(now_ns, is_only_source=self._quotes is None))
