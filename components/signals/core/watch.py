"""What is known of one symbol: its features, the trust in its book, and whether it is time to wish again."""

from typing import Final

from msgspec import Struct

from components.contracts.market import BookState, Quote, Trade
from components.contracts.values import IntentId, Place
from components.signals.core.features import Features
from components.signals.core.intents import Sight

NUMBER_MAX: Final = 1e12
"""What features can be computed of; no share was ever priced or sized like that."""


class Watch(Struct, gc=False):
    """One symbol under observation; changed in place, for it moves with every quote."""

    features: Features
    state: BookState = BookState.SYNCING
    first: Place | None = None
    """The quote the features began with: all from there to the present one was seen."""
    in_flight: IntentId | None = None
    wished_at_ns: int = 0

    def take_quote(self, quote: Quote, place: Place) -> bool:
        """Move the features on; False where the quote says no price."""
        if not quote.is_two_sided:
            return False
        bid_price, ask_price = float(quote.bid_price), float(quote.ask_price)
        bid_size, ask_size = float(quote.bid_size), float(quote.ask_size)
        # One infinity in a running mean would stay there for ever.
        if not (0.0 < bid_price <= ask_price <= NUMBER_MAX and 0.0 < bid_size <= NUMBER_MAX):
            return False
        if not 0.0 < ask_size <= NUMBER_MAX:
            return False
        self.first = self.first or place
        self.features.take_quote(bid_price, bid_size, ask_price, ask_size, quote.received_at_ns)
        return True

    def take_trade(self, trade: Trade) -> None:
        """Move the trade flow on."""
        self.features.take_trade(float(trade.price))

    def take_state(self, state: BookState) -> None:
        """Hear how far the book can be trusted; after a gap nothing continues what was before."""
        self.state = state
        if state is BookState.GAP:
            self._forget()

    def begin_anew(self) -> None:
        """Know nothing: something was missed, and the present state is about to be told."""
        self.state = BookState.SYNCING
        self._forget()

    def is_due(self, now_ns: int, cool_down_ns: int) -> bool:
        """Say whether a wish could be asked for now: trusted, none waiting for its answer, cooled down."""
        # A clock that was set back ends the pause rather than stretching it.
        is_cooling = 0 <= now_ns - self.wished_at_ns < cool_down_ns
        return self.state is BookState.SYNCED and self.in_flight is None and not is_cooling

    def sight(
        self, quote: Quote, features: tuple[float, ...], prediction: tuple[float, ...], *, place: Place, tick_at_ns: int
    ) -> Sight:
        """Say what was seen up to this quote."""
        first = self.first or place
        return Sight(quote.symbol, features, prediction, first, place, self.state, tick_at_ns)

    def _forget(self) -> None:
        self.features.reset()
        self.first = None
