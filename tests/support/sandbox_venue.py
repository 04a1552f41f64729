"""A sandbox venue without I/O, called directly by the tests."""

from decimal import Decimal
from itertools import count
from typing import Any

from components.sandbox.alpaca.core.account import AccountState
from components.sandbox.alpaca.core.matching import Quote
from components.sandbox.alpaca.core.orders import OrderEvent
from components.sandbox.alpaca.core.session import SessionName, TradingSession
from components.sandbox.alpaca.core.validation import OrderBody
from components.sandbox.alpaca.venue import AlpacaVenue, Transition

NOON_NS = 1_795_194_000_000_000_000
"""Friday, 20 November 2026, 12:00 in New York."""


def make_quote(bid: str = "99.99", ask: str = "100.01", symbol: str = "AAPL") -> Quote:
    """Return a quote of a hundred shares per side."""
    return Quote(symbol, Decimal(bid), Decimal(ask), 100, 100, NOON_NS)


def order_body(**changes: Any) -> OrderBody:
    """Return the body of a market order for ten shares, with changes; numbers may be texts."""
    plain: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": 10,
        "side": "buy",
        "type": "market",
        "time_in_force": "day",
    } | changes
    decimals = {"qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent"}
    exact: dict[str, Any] = {k: Decimal(str(v)) if k in decimals and v is not None else v for k, v in plain.items()}
    return OrderBody(**exact)


def make_venue(session: SessionName = SessionName.ALWAYS, seed: int = 1, **quotes: tuple[str, str]) -> AlpacaVenue:
    """Return a venue that lists AAPL and MSFT, quoted around 100 unless given."""
    books = AccountState()
    numbers = count(1)
    made = AlpacaVenue(books, frozenset({"AAPL", "MSFT"}), TradingSession(session), seed, lambda: f"id-{next(numbers)}")
    for symbol in ("AAPL", "MSFT"):
        bid, ask = quotes.get(symbol, ("99.99", "100.01"))
        books.quotes[symbol] = make_quote(bid, ask, symbol)
    return made


def place_order(made: AlpacaVenue, now_ns: int = NOON_NS, **changes: Any) -> tuple[OrderEvent, ...]:
    """Submit an order, process it until it is open or final, and return all its events."""
    step = made.submit(order_body(**changes), now_ns)
    assert step.order is not None, step.error
    return (*step.events, *made.advance_order(step.order.order_id, now_ns).events)


def open_position(made: AlpacaVenue, quantity: int, symbol: str = "AAPL") -> None:
    """Open a position, long or short, with an order that fills at once."""
    side = "buy" if quantity > 0 else "sell"
    place_order(made, symbol=symbol, side=side, qty=abs(quantity), time_in_force="fok")


def event_kinds(*steps: Transition | tuple[OrderEvent, ...]) -> list[str]:
    """Return the kinds of the events of some steps in their order."""
    return [str(event.kind) for step in steps for event in (step.events if isinstance(step, Transition) else step)]
