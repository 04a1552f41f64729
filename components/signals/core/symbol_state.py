"""What is known of one symbol: its features, the trust in its book, and whether it is time to wish again."""

from typing import Final

from msgspec import Struct

from components.contracts.market import BookState, Quote, Trade
from components.contracts.values import IntentId, StreamOffset
from components.signals.core.features import Features
from components.signals.core.strategy import FeatureSnapshot

PRICE_OR_SIZE_MAX: Final = 1e12
"""What features can be computed of; no share was ever priced or sized like that."""


class SymbolState(Struct, gc=False):
    """One symbol under observation; changed in place, for it moves with every quote."""

    features: Features
    book_state: BookState = BookState.SYNCING
    first_offset: StreamOffset | None = None
    """The quote the features began with: all from there to the present one was seen."""
    in_flight: IntentId | None = None
    last_signal_at_ns: int = 0

    def apply_quote(self, quote: Quote, offset: StreamOffset) -> bool:
        """Move the features on; False where the quote says no price."""
        if not quote.is_two_sided:
            return False
        bid_price, ask_price = float(quote.bid_price), float(quote.ask_price)
        bid_size, ask_size = float(quote.bid_size), float(quote.ask_size)
        # One infinity in a running mean would stay there for ever.
        if not (0.0 < bid_price <= ask_price <= PRICE_OR_SIZE_MAX and 0.0 < bid_size <= PRICE_OR_SIZE_MAX):
            return False
        if not 0.0 < ask_size <= PRICE_OR_SIZE_MAX:
            return False
        self.first_offset = self.first_offset or offset
        self.features.add_quote(bid_price, bid_size, ask_price, ask_size, quote.received_at_ns)
        return True

    def apply_trade(self, trade: Trade) -> None:
        """Move the trade flow on."""
        self.features.add_trade(float(trade.price))

    def apply_book_state(self, state: BookState) -> None:
        """Hear how far the book can be trusted; after a gap nothing continues what was before."""
        self.book_state = state
        if state is BookState.GAP:
            self._reset_features()

    def reset(self) -> None:
        """Know nothing: something was missed, and the present state is about to be told."""
        self.book_state = BookState.SYNCING
        self._reset_features()

    def may_signal(self, now_ns: int, cool_down_ns: int) -> bool:
        """Say whether a wish could be asked for now: trusted, none waiting for its answer, cooled down."""
        # A clock that was set back ends the pause rather than stretching it.
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
        """Say what was seen up to this quote."""
        first = self.first_offset or offset
        return FeatureSnapshot(quote.symbol, features, prediction, first, offset, self.book_state, tick_at_ns)

    def _reset_features(self) -> None:
        self.features.reset()
        self.first_offset = None
