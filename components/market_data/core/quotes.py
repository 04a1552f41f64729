"""How far one symbol's prices can be trusted, and what each quote, silence and broken feed does to that.

What is wrong with a venue's quote or trade, if anything, so that it is counted and goes no further.
"""

from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from components.contracts.market import BookState, Quote, Trade
from components.contracts.values import ZERO
from components.market_data.core.events import IssueKind

NUMBER_MIN: Final = Decimal("1e-9")


NUMBER_MAX: Final = Decimal("1e12")
"""No share is worth or counted less or more; beyond them arithmetic downstream would round or overflow."""


class RejectReason(StrEnum):
    """Why a message of the venue has no effect but to be counted."""

    UNLISTED = "unlisted"
    OUT_OF_RANGE = "out_of_range"
    OUT_OF_ORDER = "out_of_order"


class QuoteState(Struct, frozen=True, gc=False):
    """The last quote of one symbol and the trust in it."""

    state: BookState
    reason: str
    since_ns: int
    quote: Quote | None = None
    venue_at_ns: int = 0
    """No quote older than this is taken; 0 where the next one begins anew."""


def initial_quote_state(now_ns: int) -> QuoteState:
    """Give the book of a symbol that nothing is known of."""
    return QuoteState(BookState.SYNCING, "no quote yet", now_ns)


def apply_quote(current: QuoteState, quote: Quote) -> QuoteState | RejectReason:
    """Take the venue's next quote, or say what is wrong with it."""
    if not is_in_range(quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size):
        return RejectReason.OUT_OF_RANGE
    if quote.venue_at_ns < current.venue_at_ns:
        return RejectReason.OUT_OF_ORDER
    state, reason = _state_of(quote)
    since_ns = current.since_ns if state is current.state else quote.received_at_ns
    return QuoteState(state, reason, since_ns, quote, quote.venue_at_ns)


def check_trade(trade: Trade) -> RejectReason | None:
    """Say what is wrong with a print, if anything."""
    good = is_in_range(trade.price, trade.size) and trade.price > ZERO and trade.size > ZERO
    return None if good else RejectReason.OUT_OF_RANGE


def mark_untrusted(current: QuoteState, state: BookState, reason: str, now_ns: int) -> QuoteState:
    """Take trust away; the next quote may then carry any time, for the venue's clock may have been set back."""
    since_ns = current.since_ns if state is current.state else now_ns
    return replace(current, state=state, reason=reason, since_ns=since_ns, venue_at_ns=0)


def mark_stale_if_old(current: QuoteState, *, now_ns: int, age_ns_max: int) -> QuoteState:
    """Flag the book stale when its last quote is older than allowed."""
    if current.state is not BookState.SYNCED or current.quote is None:
        return current
    age_ns = now_ns - current.quote.received_at_ns
    if age_ns <= age_ns_max:
        return current
    return mark_untrusted(current, BookState.STALE, f"no quote for {age_ns // 1_000_000} ms", now_ns)


def _state_of(quote: Quote) -> tuple[BookState, str]:
    if not (quote.bid_price and quote.bid_size and quote.ask_price and quote.ask_size):
        return BookState.SYNCING, "one side is absent"
    if quote.bid_price >= quote.ask_price:
        return BookState.CROSSED, f"bid {quote.bid_price} >= ask {quote.ask_price}"
    return BookState.SYNCED, "quoted"


def is_in_range(*numbers: Decimal) -> bool:
    """Say whether every number is finite, and zero or of a size that arithmetic downstream can bear."""
    return all(number.is_finite() and (number == ZERO or NUMBER_MIN <= number <= NUMBER_MAX) for number in numbers)


def quote_issue(quote: Quote) -> IssueKind | None:
    """Say what is wrong with a quote; a price of zero means that side is absent."""
    good = is_in_range(quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size)
    return None if good else IssueKind.OUT_OF_RANGE


def trade_issue(trade: Trade) -> IssueKind | None:
    """Say what is wrong with a print."""
    good = is_in_range(trade.price, trade.size) and trade.price > ZERO and trade.size > ZERO
    return None if good else IssueKind.OUT_OF_RANGE
