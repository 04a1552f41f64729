"""State of one symbol: its features, its book state, and whether a signal may be sent."""

from typing import Final

from msgspec import Struct

from components.contracts.market import BookState, Quote, Trade
from components.contracts.values import IntentId, StreamOffset
from components.signals.core.features import Features
from components.signals.core.strategy import FeatureSnapshot

PRICE_OR_SIZE_MAX: Final = 1e12
"""Upper bound of prices and sizes for which features are computed; no share has ever reached it."""


class SymbolState(Struct, gc=False):
    """One subscribed symbol; mutable, because it changes with every quote."""

    features: Features
    book_state: BookState = BookState.SYNCING
    first_offset: StreamOffset | None = None
    """Offset of the quote with which the features began; every quote since then was received."""
    in_flight: IntentId | None = None
    last_signal_at_ns: int = 0

    def apply_quote(self, quote: Quote, offset: StreamOffset) -> bool:
        """Update the features; return False if the quote has no usable price."""
        if not quote.is_two_sided:
            return False
        bid_price, ask_price = float(quote.bid_price), float(quote.ask_price)
        bid_size, ask_size = float(quote.bid_size), float(quote.ask_size)
        # An infinity in a running average would stay there forever.
        if not (0.0 < bid_price <= ask_price <= PRICE_OR_SIZE_MAX and 0.0 < bid_size <= PRICE_OR_SIZE_MAX):
            return False
        if not 0.0 < ask_size <= PRICE_OR_SIZE_MAX:
            return False
        self.first_offset = self.first_offset or offset
        self.features.add_quote(bid_price, bid_size, ask_price, ask_size, quote.received_at_ns)
        return True

    def apply_trade(self, trade: Trade) -> None:
        """Update the trade flow."""
        self.features.add_trade(float(trade.price))

    def apply_book_state(self, state: BookState) -> None:
        """Store the book state; after a gap the features start again."""
        self.book_state = state
        if state is BookState.GAP:
            self._reset_features()

    def reset(self) -> None:
        """Discard everything: messages were missed, and a snapshot follows."""
        self.book_state = BookState.SYNCING
        self._reset_features()

    def may_signal(self, now_ns: int, cool_down_ns: int) -> bool:
        """Return whether a signal may be sent: book synced, no request in flight, cool-down over."""
        # A clock that was set back ends the cool-down instead of extending it.
        is_cooling = 0 <= now_ns - self.last_signal_at_ns < cool_down_ns
        return self.book_state is BookState.SYNCED and self.in_flight is None and not is_cooling

    def feature_snapshot(
        self,
        quote: Quote,
        features: tuple[float, ...],
        prediction: tuple[float, ...],
        *,
        offset: StreamOffset,
        tick_at_ns: int,
    ) -> FeatureSnapshot:
        """Return the features and prediction at this quote."""
        first = self.first_offset or offset
        return FeatureSnapshot(quote.symbol, features, prediction, first, offset, self.book_state, tick_at_ns)

    def _reset_features(self) -> None:
        self.features.reset()
        self.first_offset = None
