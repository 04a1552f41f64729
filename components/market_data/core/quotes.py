"""The state of one quoted symbol after each quote, timeout and feed failure; range checks of quotes and trades."""

from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.market import BookState, Quote, Trade
from components.contracts.values import ZERO

NUMBER_MIN: Final = Decimal("1e-9")
NUMBER_MAX: Final = Decimal("1e12")
"""Prices and sizes outside these bounds are rejected: arithmetic downstream would round or overflow."""


class RejectReason(StrEnum):
    """Why a message of the venue is only counted."""

    UNLISTED = "unlisted"
    OUT_OF_RANGE = "out_of_range"
    OUT_OF_ORDER = "out_of_order"


class QuoteState(Struct, frozen=True, gc=False):
    """The last quote of one symbol and whether it can be trusted."""

    state: BookState
    reason: str
    since_ns: int
    quote: Quote | None = None
    venue_at_ns: int = 0
    """Quotes with an older timestamp are rejected; 0 accepts any."""


def initial_quote_state(now_ns: int) -> QuoteState:
    """Return the state of a symbol without any quote."""
    return QuoteState(BookState.SYNCING, "no quote yet", now_ns)


def apply_quote(current: QuoteState, quote: Quote) -> QuoteState | RejectReason:
    """Return the state after the venue's next quote, or the reason why it is rejected."""
    if not is_in_range(quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size):
        return RejectReason.OUT_OF_RANGE
    if quote.venue_at_ns < current.venue_at_ns:
        return RejectReason.OUT_OF_ORDER
    state, reason = _state_of(quote)
    since_ns = current.since_ns if state is current.state else quote.received_at_ns
    return QuoteState(state, reason, since_ns, quote, quote.venue_at_ns)


def mark_untrusted(current: QuoteState, state: BookState, reason: str, now_ns: int) -> QuoteState:
    """Return the state in which the last quote is not to be used any more.

    The next quote is accepted with any timestamp, because the venue's clock may have been set back.
    """
    since_ns = current.since_ns if state is current.state else now_ns
    return replace(current, state=state, reason=reason, since_ns=since_ns, venue_at_ns=0)


def mark_stale_if_old(current: QuoteState, *, now_ns: int, age_ns_max: int) -> QuoteState:
    """Return a stale state if the last quote is older than allowed."""
    if current.state is not BookState.SYNCED or current.quote is None:
        return current
    age_ns = now_ns - current.quote.received_at_ns
    if age_ns <= age_ns_max:
        return current
    return mark_untrusted(current, BookState.STALE, f"no quote for {age_ns // 1_000_000} ms", now_ns)


def is_in_range(*numbers: Decimal) -> bool:
    """Return whether every number is finite, and zero or within the bounds of this module."""
    return all(number.is_finite() and (number == ZERO or NUMBER_MIN <= number <= NUMBER_MAX) for number in numbers)


def is_valid_quote(quote: Quote) -> bool:
    """Return whether prices and sizes are in range; zero means that the side is absent."""
    return is_in_range(quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)


def is_valid_trade(trade: Trade) -> bool:
    """Return whether price and size are above zero and in range."""
    return is_in_range(trade.price, trade.size) and trade.price > ZERO and trade.size > ZERO


def _state_of(quote: Quote) -> tuple[BookState, str]:
    if not (quote.bid_price and quote.bid_size and quote.ask_price and quote.ask_size):
        return BookState.SYNCING, "one side is missing"
    if quote.bid_price >= quote.ask_price:
        return BookState.CROSSED, f"bid {quote.bid_price} >= ask {quote.ask_price}"
    return BookState.SYNCED, "quoted"
