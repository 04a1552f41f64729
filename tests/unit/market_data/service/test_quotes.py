"""What market_data says, and when it counts as ready, for everything that a feed can tell it."""

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
PATIENCE = QuoteTimeouts(quote_age_ms_max=2_000, first_quote_timeout_ms=10_000)


class Desk:
    """A service, what it said, and the time."""

    def __init__(self) -> None:
        self.metrics = Metrics("market_data", "test")
        quotes = QuoteService(VENUE, (AAPL, MSFT), PATIENCE, self.metrics)
        self.service = MarketDataService(quotes, OrderBookService((), self.metrics, lambda: 0.5))
        self.now_ns = T0
        self.effects = list(self.service.on_start(T0))

    def tell(self, *bodies: FeedMessage) -> list[Any]:
        self.effects = [effect for body in bodies for effect in self.service.on_message(VenueEvent(body), self.now_ns)]
        return said(self.effects)

    def wait(self, milliseconds: int) -> list[Any]:
        self.now_ns += milliseconds * MS
        self.effects = list(self.service.on_tick(self.now_ns))
        return said(self.effects)

    def quote(self, symbol: Symbol = AAPL, bid: str = "189.99", ask: str = "190.01", **changes: Any) -> Quote:
        sizes = Decimal(200), Decimal(300)
        at_ns = self.now_ns
        made = Quote(VENUE, symbol, Decimal(bid), sizes[0], Decimal(ask), sizes[1], at_ns - 3 * MS, at_ns)
        return replace(made, **changes)


def said(effects: Iterable[Effect]) -> list[Any]:
    return [effect.body for effect in effects if isinstance(effect, Publish)]


def states(bodies: Iterable[Any]) -> list[tuple[str, BookState]]:
    return [(body.symbol, body.state) for body in bodies if isinstance(body, SymbolHealth)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def live(desk: Desk) -> Desk:
    desk.tell(StockFeedUp(), StockFrame((desk.quote(AAPL), desk.quote(MSFT))))
    return desk


def test_it_starts_by_saying_that_nothing_is_known(desk: Desk) -> None:
    assert states(said(desk.effects)) == [(AAPL, BookState.SYNCING), (MSFT, BookState.SYNCING)]
    assert said(desk.effects)[-1] == FeedHealth(VENUE, FeedState.CONNECTING, "starting", T0)


def test_a_quote_leaves_with_the_stamps_of_its_cause(desk: Desk) -> None:
    quote = desk.quote()
    desk.tell(StockFeedUp(), StockFrame((quote,)))
    stamped = Publish(MARKET, quote, event_at_ns=quote.venue_at_ns, received_at_ns=quote.received_at_ns)
    assert stamped in desk.effects


def test_trust_follows_the_first_price_and_distrust_comes_before_a_bad_one(desk: Desk) -> None:
    good, crossed = desk.quote(), desk.quote(bid="190.02")
    bodies = desk.tell(StockFrame((good, crossed, good)))
    assert [type(body) for body in bodies] == [Quote, SymbolHealth, SymbolHealth, Quote, Quote, SymbolHealth]
    assert [state for _, state in states(bodies)] == [BookState.SYNCED, BookState.CROSSED, BookState.SYNCED]


def test_a_state_is_said_once(live: Desk) -> None:
    assert states(live.tell(StockFrame((live.quote(), live.quote())))) == []


def test_a_silent_symbol_is_flagged_and_the_other_stands(live: Desk) -> None:
    live.wait(1_500)
    live.tell(StockFrame((live.quote(MSFT),)))
    assert states(live.wait(501)) == [(AAPL, BookState.STALE)]
    assert states(live.tell(StockFrame((live.quote(AAPL),)))) == [(AAPL, BookState.SYNCED)]


def test_a_dropped_feed_flags_every_book_at_once(live: Desk) -> None:
    bodies = live.tell(StockFeedDown("the connection ended", is_permanent=False))
    assert bodies[0] == FeedHealth(VENUE, FeedState.DOWN, "the connection ended", live.now_ns)
    assert states(bodies) == [(AAPL, BookState.GAP), (MSFT, BookState.GAP)]
    assert bodies[1].reason == "the connection ended"


def test_a_reconnected_feed_is_believed_symbol_by_symbol(live: Desk) -> None:
    live.tell(StockFeedDown("the connection ended", is_permanent=False))
    assert states(live.tell(StockFeedUp())) == [(AAPL, BookState.SYNCING), (MSFT, BookState.SYNCING)]
    earlier = live.quote(venue_at_ns=1)
    assert states(live.tell(StockFrame((earlier,)))) == [(AAPL, BookState.SYNCED)]


def test_the_same_failure_again_is_not_said_again(live: Desk) -> None:
    live.tell(StockFeedDown("refused", is_permanent=False))
    assert live.tell(StockFeedDown("refused", is_permanent=False)) == []
    assert metric_value(live.metrics, "market_feed_disconnects_total") == 2


def test_a_final_refusal_is_told_as_it_came(desk: Desk) -> None:
    (health, *_) = desk.tell(StockFeedDown("409 insufficient subscription", is_permanent=True))
    assert health.state is FeedState.DOWN
    assert "409 insufficient subscription" in desk.service.unmet(desk.now_ns)[0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"symbol": Symbol("TSLA")}, "unlisted"),
        ({"bid_size": Decimal(-1)}, "out_of_range"),
        ({"venue_at_ns": 1}, "out_of_order"),
    ],
)
def test_a_flawed_quote_is_counted_and_says_nothing(live: Desk, changes: dict[str, Any], reason: str) -> None:
    assert live.tell(StockFrame((live.quote(**changes), live.quote(MSFT)))) == [live.quote(MSFT)]
    assert metric_value(live.metrics, "market_rejected_messages_total", reason=reason) == 1


def test_a_side_that_is_absent_takes_the_trust_away(live: Desk) -> None:
    one_sided = live.quote(bid="0")
    bodies = live.tell(StockFrame((one_sided,)))
    assert states(bodies) == [(AAPL, BookState.SYNCING)]
    assert bodies[-1] == one_sided


def test_a_print_is_said_and_a_flawed_one_counted(live: Desk) -> None:
    good = Trade(VENUE, AAPL, Decimal(190), Decimal(100), live.now_ns, live.now_ns)
    flawed = replace(good, size=Decimal(0))
    unlisted = replace(good, symbol=Symbol("TSLA"))
    assert live.tell(StockFrame((flawed, good, unlisted))) == [good]
    assert metric_value(live.metrics, "market_trades_total") == 1
    assert metric_value(live.metrics, "market_rejected_messages_total", reason="out_of_range") == 1


def test_what_the_adapter_could_not_read_is_counted(live: Desk) -> None:
    live.tell(StockFrame((), unknown=2, malformed=3))
    assert metric_value(live.metrics, "market_rejected_messages_total", reason="unknown") == 2
    assert metric_value(live.metrics, "market_rejected_messages_total", reason="malformed") == 3


def test_it_is_ready_when_subscribed_and_every_symbol_was_quoted(desk: Desk) -> None:
    assert desk.service.unmet(T0) == ("feed alpaca is connecting: starting",)
    desk.tell(StockFeedUp(), StockFrame((desk.quote(AAPL),)))
    assert desk.service.unmet(T0) == ("first quote of MSFT",)
    desk.tell(StockFrame((desk.quote(MSFT),)))
    assert desk.service.unmet(T0) == ()


def test_it_is_ready_without_quotes_once_the_session_counts_as_closed(desk: Desk) -> None:
    desk.tell(StockFeedUp())
    assert len(desk.service.unmet(T0 + 10_000 * MS)) == 2
    assert desk.service.unmet(T0 + 10_001 * MS) == ()


def test_a_late_joiner_gets_the_quotes_and_then_the_trust_in_them(live: Desk) -> None:
    live.tell(StockFrame((live.quote(MSFT, bid="200"),)))
    snapshot = live.service.snapshot(MARKET)
    assert [type(body) for body in snapshot] == [Quote, Quote, SymbolHealth, SymbolHealth, FeedHealth]
    assert states(snapshot) == [(AAPL, BookState.SYNCED), (MSFT, BookState.CROSSED)]


def test_it_takes_the_trust_away_when_it_stops(live: Desk) -> None:
    bodies = said(live.service.on_stop(live.now_ns))
    assert states(bodies) == [(AAPL, BookState.GAP), (MSFT, BookState.GAP)]
    assert live.service.is_drained()


def test_a_change_of_the_feed_is_noted(desk: Desk) -> None:
    desk.tell(StockFeedUp())
    assert LogEvent("feed_state_changed", {"state": FeedState.LIVE, "reason": "subscribed"}) in desk.effects


def test_it_refuses_what_is_not_its_own(desk: Desk) -> None:
    with pytest.raises(InvariantError):
        desk.service.snapshot(ORDERS)
    with pytest.raises(InvariantError):
        desk.service.on_message(RequestTimedOut("x"), T0)
