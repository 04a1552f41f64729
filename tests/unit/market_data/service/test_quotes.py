"""What the stock quote service publishes, and when it is ready, for everything that a feed can deliver."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from components.contracts.errors import InvariantError
from components.contracts.market import BookState, FeedHealth, FeedState, Quote, SymbolHealth, Trade
from components.contracts.streams import MARKET, ORDERS
from components.contracts.values import Symbol, Venue
from components.market_data.core.events import FeedMessage, StockFeedDown, StockFeedUp, StockFrame
from components.market_data.service.market_data import MarketDataService
from components.market_data.service.order_books import OrderBookService
from components.market_data.service.quotes import QuoteService, QuoteTimeouts
from components.runtime.metrics import Metrics
from components.runtime.service import Effect, LogEvent, Publish, RequestTimedOut, VenueEvent
from tests.support.metric_samples import metric_value

VENUE = Venue("alpaca")
AAPL, MSFT = Symbol("AAPL"), Symbol("MSFT")
MS = 1_000_000
T0 = 1_700_000_000_000_000_000
TIMEOUTS = QuoteTimeouts(quote_age_ms_max=2_000, first_quote_timeout_ms=10_000)


class QuoteServiceHarness:
    """A service with its last effects and the time."""

    def __init__(self) -> None:
        self.metrics = Metrics("market_data", "test")
        quotes = QuoteService(VENUE, (AAPL, MSFT), TIMEOUTS, self.metrics)
        self.service = MarketDataService(quotes, OrderBookService((), self.metrics, lambda: 0.5))
        self.now_ns = T0
        self.effects = list(self.service.on_start(T0))

    def deliver(self, *bodies: FeedMessage) -> list[Any]:
        self.effects = [effect for body in bodies for effect in self.service.on_message(VenueEvent(body), self.now_ns)]
        return published_bodies(self.effects)

    def wait(self, milliseconds: int) -> list[Any]:
        self.now_ns += milliseconds * MS
        self.effects = list(self.service.on_tick(self.now_ns))
        return published_bodies(self.effects)

    def quote(self, symbol: Symbol = AAPL, bid: str = "189.99", ask: str = "190.01", **changes: Any) -> Quote:
        sizes = Decimal(200), Decimal(300)
        at_ns = self.now_ns
        made = Quote(VENUE, symbol, Decimal(bid), sizes[0], Decimal(ask), sizes[1], at_ns - 3 * MS, at_ns)
        return replace(made, **changes)


def published_bodies(effects: Iterable[Effect]) -> list[Any]:
    return [effect.body for effect in effects if isinstance(effect, Publish)]


def states(bodies: Iterable[Any]) -> list[tuple[str, BookState]]:
    return [(body.symbol, body.state) for body in bodies if isinstance(body, SymbolHealth)]


@pytest.fixture
def harness() -> QuoteServiceHarness:
    return QuoteServiceHarness()


@pytest.fixture
def live(harness: QuoteServiceHarness) -> QuoteServiceHarness:
    harness.deliver(StockFeedUp(), StockFrame((harness.quote(AAPL), harness.quote(MSFT))))
    return harness


def test_it_starts_by_publishing_that_nothing_is_known(harness: QuoteServiceHarness) -> None:
    assert states(published_bodies(harness.effects)) == [(AAPL, BookState.SYNCING), (MSFT, BookState.SYNCING)]
    assert published_bodies(harness.effects)[-1] == FeedHealth(VENUE, FeedState.CONNECTING, "starting", T0)


def test_a_quote_leaves_with_the_stamps_of_its_cause(harness: QuoteServiceHarness) -> None:
    quote = harness.quote()
    harness.deliver(StockFeedUp(), StockFrame((quote,)))
    stamped = Publish(MARKET, quote, event_at_ns=quote.venue_at_ns, received_at_ns=quote.received_at_ns)
    assert stamped in harness.effects


def test_synced_follows_the_first_price_and_desynced_precedes_a_bad_one(harness: QuoteServiceHarness) -> None:
    good, crossed = harness.quote(), harness.quote(bid="190.02")
    bodies = harness.deliver(StockFrame((good, crossed, good)))
    assert [type(body) for body in bodies] == [Quote, SymbolHealth, SymbolHealth, Quote, Quote, SymbolHealth]
    assert [state for _, state in states(bodies)] == [BookState.SYNCED, BookState.CROSSED, BookState.SYNCED]


def test_a_state_is_published_once(live: QuoteServiceHarness) -> None:
    assert states(live.deliver(StockFrame((live.quote(), live.quote())))) == []


def test_a_quiet_symbol_is_stale_and_the_other_stays_synced(live: QuoteServiceHarness) -> None:
    live.wait(1_500)
    live.deliver(StockFrame((live.quote(MSFT),)))
    assert states(live.wait(501)) == [(AAPL, BookState.STALE)]
    assert states(live.deliver(StockFrame((live.quote(AAPL),)))) == [(AAPL, BookState.SYNCED)]


def test_a_dropped_feed_flags_every_book_at_once(live: QuoteServiceHarness) -> None:
    bodies = live.deliver(StockFeedDown("the connection ended", is_permanent=False))
    assert bodies[0] == FeedHealth(VENUE, FeedState.DOWN, "the connection ended", live.now_ns)
    assert states(bodies) == [(AAPL, BookState.GAP), (MSFT, BookState.GAP)]
    assert bodies[1].reason == "the connection ended"


def test_a_reconnected_feed_is_believed_symbol_by_symbol(live: QuoteServiceHarness) -> None:
    live.deliver(StockFeedDown("the connection ended", is_permanent=False))
    assert states(live.deliver(StockFeedUp())) == [(AAPL, BookState.SYNCING), (MSFT, BookState.SYNCING)]
    earlier = live.quote(venue_at_ns=1)
    assert states(live.deliver(StockFrame((earlier,)))) == [(AAPL, BookState.SYNCED)]


def test_the_same_failure_is_not_published_again(live: QuoteServiceHarness) -> None:
    live.deliver(StockFeedDown("refused", is_permanent=False))
    assert live.deliver(StockFeedDown("refused", is_permanent=False)) == []
    assert metric_value(live.metrics, "market_feed_disconnects_total") == 2


def test_a_permanent_rejection_is_published_with_its_reason(harness: QuoteServiceHarness) -> None:
    (health, *_) = harness.deliver(StockFeedDown("409 insufficient subscription", is_permanent=True))
    assert health.state is FeedState.DOWN
    assert "409 insufficient subscription" in harness.service.unmet(harness.now_ns)[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": Symbol("TSLA")}, "unlisted"),
        ({"bid_size": Decimal(-1)}, "out_of_range"),
        ({"venue_at_ns": 1}, "out_of_order"),
    ],
)
def test_an_invalid_quote_is_counted_and_not_published(
    live: QuoteServiceHarness, changes: dict[str, Any], reason: str
) -> None:
    assert live.deliver(StockFrame((live.quote(**changes), live.quote(MSFT)))) == [live.quote(MSFT)]
    assert metric_value(live.metrics, "market_rejected_messages_total", reason=reason) == 1


def test_a_missing_side_ends_sync(live: QuoteServiceHarness) -> None:
    one_sided = live.quote(bid="0")
    bodies = live.deliver(StockFrame((one_sided,)))
    assert states(bodies) == [(AAPL, BookState.SYNCING)]
    assert bodies[-1] == one_sided


def test_a_trade_is_published_and_an_invalid_one_counted(live: QuoteServiceHarness) -> None:
    good = Trade(VENUE, AAPL, Decimal(190), Decimal(100), live.now_ns, live.now_ns)
    flawed = replace(good, size=Decimal(0))
    unlisted = replace(good, symbol=Symbol("TSLA"))
    assert live.deliver(StockFrame((flawed, good, unlisted))) == [good]
    assert metric_value(live.metrics, "market_trades_total") == 1
    assert metric_value(live.metrics, "market_rejected_messages_total", reason="out_of_range") == 1


def test_what_the_adapter_could_not_read_is_counted(live: QuoteServiceHarness) -> None:
    live.deliver(StockFrame((), unknown=2, malformed=3))
    assert metric_value(live.metrics, "market_rejected_messages_total", reason="unknown") == 2
    assert metric_value(live.metrics, "market_rejected_messages_total", reason="malformed") == 3


def test_it_is_ready_when_subscribed_and_every_symbol_was_quoted(harness: QuoteServiceHarness) -> None:
    assert harness.service.unmet(T0) == ("feed alpaca is connecting: starting",)
    harness.deliver(StockFeedUp(), StockFrame((harness.quote(AAPL),)))
    assert harness.service.unmet(T0) == ("first quote of MSFT",)
    harness.deliver(StockFrame((harness.quote(MSFT),)))
    assert harness.service.unmet(T0) == ()


def test_it_is_ready_without_quotes_once_the_session_counts_as_closed(harness: QuoteServiceHarness) -> None:
    harness.deliver(StockFeedUp())
    assert len(harness.service.unmet(T0 + 10_000 * MS)) == 2
    assert harness.service.unmet(T0 + 10_001 * MS) == ()


def test_a_late_subscriber_gets_the_quotes_and_then_their_health(live: QuoteServiceHarness) -> None:
    live.deliver(StockFrame((live.quote(MSFT, bid="200"),)))
    snapshot = live.service.snapshot(MARKET)
    assert [type(body) for body in snapshot] == [Quote, Quote, SymbolHealth, SymbolHealth, FeedHealth]
    assert states(snapshot) == [(AAPL, BookState.SYNCED), (MSFT, BookState.CROSSED)]


def test_it_ends_sync_when_it_stops(live: QuoteServiceHarness) -> None:
    bodies = published_bodies(live.service.on_stop(live.now_ns))
    assert states(bodies) == [(AAPL, BookState.GAP), (MSFT, BookState.GAP)]
    assert live.service.is_drained()


def test_a_change_of_the_feed_is_logged(harness: QuoteServiceHarness) -> None:
    harness.deliver(StockFeedUp())
    assert LogEvent("feed_state_changed", {"state": FeedState.LIVE, "reason": "subscribed"}) in harness.effects


def test_it_refuses_what_is_not_its_own(harness: QuoteServiceHarness) -> None:
    with pytest.raises(InvariantError):
        harness.service.snapshot(ORDERS)
    with pytest.raises(InvariantError):
        harness.service.on_message(RequestTimedOut("x"), T0)
