"""The account state that risk derives from its own log: live orders, exposures, causes and cached replies.

All values are immutable; `projection.apply` returns the next state for each record of the log.
"""

from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from components.contracts.decisions import ApprovalReply, Decision
from components.contracts.orders import (
    Filled,
    IntentReceived,
    OrderSending,
    OrderState,
    OrderUpdated,
    VenueConnectivity,
)
from components.contracts.signals import ApprovalTerms, Intent
from components.contracts.trading import CAUSE_EFFECTS, Cause, TradingState, trading_state_of
from components.contracts.values import ZERO, AccountId, ClientOrderId, IntentId, Quantity, Side, StreamOffset, Symbol
from components.risk.core.limits import Limits
from components.risk.core.positions import Exposure

CHUNK_SIZE: Final = 256
CHUNK_COUNT: Final = 8
"""The reply cache holds the last 1,792 to 2,048 intents: minutes of any strategy, about 7 MB."""
DIGEST_BYTES: Final = 16
RATE_STEP_NS: Final = 5_000_000_000
"""Approvals are counted in steps of five seconds: the minute of the order rate lasts 60 to 65 seconds, never less."""
RATE_STEPS: Final = 12
RECENT_APPROVALS_MAX: Final = 64
"""Number of approvals that a new order is compared with to detect a repeated order."""
_encode_intent: Final = msgspec.msgpack.Encoder().encode


class LiveOrder(Struct, frozen=True, array_like=True, gc=False):
    """An order whose exposure is reserved; `state` is None until execution has reported that it received the order.

    Only our own orders have an intent and terms. External orders on the account reserve exposure in the same way.
    """

    symbol: Symbol
    side: Side
    quantity: Quantity
    filled: Quantity = ZERO
    state: OrderState | None = None
    client_order_id: ClientOrderId | None = None
    working_since_ns: int = 0
    intent: Intent | None = None
    terms: ApprovalTerms | None = None

    @property
    def remaining(self) -> Quantity:
        """Quantity that may still fill."""
        return max(self.quantity - self.filled, ZERO)

    @property
    def is_closed(self) -> bool:
        """Return whether the order is final and every fill it announced has been counted."""
        return self.state is not None and self.state.is_final and self.remaining <= ZERO

    def is_own_working_before(self, since_ns: int) -> bool:
        """Return whether this is our own order and has been working since before `since_ns`."""
        is_working = self.intent is not None and self.state is not None and self.state.is_working
        return is_working and 0 < self.working_since_ns < since_ns


def order_key(intent_id: IntentId | None, client_order_id: ClientOrderId) -> str:
    """Return the key of an order in `RiskState.orders`.

    The key of an external order begins with `~`, which no intent id can contain.
    """
    return intent_id if intent_id is not None else f"~{client_order_id}"


def live_order_from(decision: Decision) -> LiveOrder:
    """Return the reservation for an approved intent."""
    intent = decision.intent
    return LiveOrder(intent.symbol, intent.side, intent.quantity, intent=intent, terms=decision.terms)


def apply_received(order: LiveOrder | None, event: IntentReceived) -> LiveOrder:
    """Return the order as received by execution; an approval that was already released is reserved again."""
    intent = event.intent
    known = order or LiveOrder(intent.symbol, intent.side, intent.quantity, intent=intent, terms=event.terms)
    return replace(known, state=OrderState.RECEIVED, client_order_id=event.client_order_id)


def apply_sending(order: LiveOrder, event: OrderSending) -> LiveOrder:
    """Return the order with the client order id under which it is sent."""
    return replace(order, state=OrderState.SENDING, client_order_id=event.client_order_id)


def apply_update(order: LiveOrder | None, event: OrderUpdated) -> LiveOrder:
    """Return the order in the state that execution reports.

    A final order keeps reserved only the fills that are announced and not yet counted.
    """
    known = order or LiveOrder(event.symbol, event.side, event.quantity, filled=event.filled_quantity)
    since_ns = known.working_since_ns or (event.at_ns if event.state.is_working else 0)
    quantity = max(event.filled_quantity, known.filled) if event.state.is_final else known.quantity
    return replace(
        known,
        state=event.state,
        quantity=quantity,
        client_order_id=event.client_order_id,
        working_since_ns=since_ns,
    )


def apply_execution(order: LiveOrder, event: Filled) -> LiveOrder:
    """Return the order with one execution subtracted from the reserved quantity.

    Fills of our own orders are counted one by one. For an external order the first fills may have been missed, so the
    cumulative quantity counts.
    """
    counted = order.filled + event.quantity if order.intent else max(order.filled, event.cumulative_quantity)
    return replace(order, filled=counted)


def is_unsent(order: LiveOrder) -> bool:
    """Return whether the order can still be withdrawn: execution has not sent it."""
    return order.intent is not None and order.state in (None, OrderState.RECEIVED)


class CachedReply(Struct, frozen=True, array_like=True, gc=False):
    """One reply and the intent it was sent for."""

    intent: Intent
    reply: ApprovalReply

    @property
    def digest(self) -> bytes:
        """Digest of the intent; computed only when its id is requested again."""
        return intent_digest(self.intent)


class ReplyCache(Struct, frozen=True, array_like=True, gc=False):
    """Replies by intent id, in chunks by age, so that adding one copies a small dictionary and never all entries.

    Any intent created at or before `evicted_through_ns` may have been approved and evicted.
    """

    newest: dict[IntentId, CachedReply] = {}
    older: tuple[dict[IntentId, CachedReply], ...] = ()
    evicted_through_ns: int = 0

    def find(self, intent_id: IntentId) -> CachedReply | None:
        """Return the reply cached for this intent id, or None."""
        found = self.newest.get(intent_id)
        if found is None:
            for chunk in self.older:
                if (found := chunk.get(intent_id)) is not None:
                    break
        return found


def intent_digest(intent: Intent) -> bytes:
    """Return a digest of the intent's content; different intents have different digests."""
    return blake2b(_encode_intent(intent), digest_size=DIGEST_BYTES).digest()


def with_reply(cache: ReplyCache, intent: Intent, reply: ApprovalReply) -> ReplyCache:
    """Return the cache with one more reply; the first reply to an id is kept."""
    intent_id = intent.intent_id
    if cache.find(intent_id) is not None:
        return cache
    newest = cache.newest.copy()
    newest[intent_id] = CachedReply(intent, reply)
    if len(newest) < CHUNK_SIZE:
        return ReplyCache(newest, cache.older, cache.evicted_through_ns)
    return _rotate(newest, cache)


def _rotate(full: dict[IntentId, CachedReply], cache: ReplyCache) -> ReplyCache:
    chunks = (full, *cache.older)
    retained, dropped = chunks[: CHUNK_COUNT - 1], chunks[CHUNK_COUNT - 1 :]
    # Evicting a refusal is harmless: the same intent is checked again and approved at most once.
    evicted_at_ns = (one.intent.created_at_ns for chunk in dropped for one in chunk.values() if one.reply.allowed)
    return ReplyCache({}, retained, max(cache.evicted_through_ns, *evicted_at_ns, 0))


class RecentApproval(Struct, frozen=True, array_like=True, gc=False):
    """Time and fingerprint of an approved order."""

    at_ns: int
    fingerprint: tuple[Any, ...]


class RiskState(Struct, frozen=True, gc=False, kw_only=True):
    """Everything risk derives from its own log; each record yields a new state, no state is modified."""

    account: AccountId
    journal_id: str
    last_sequence: int = 0
    started_sequence: int = 0
    limits: Limits | None = None
    causes: dict[Cause, str] = {}
    exposures: dict[Symbol, Exposure] = {}
    orders: dict[str, LiveOrder] = {}
    reply_cache: ReplyCache = ReplyCache()
    recent_approvals: tuple[RecentApproval, ...] = ()
    approvals_by_step: tuple[tuple[int, int], ...] = ()
    """Number of approvals in each step of the last minute, oldest first."""
    orders_offset: StreamOffset | None = None
    reconciled_at_ns: int = 0
    reconciled_sequence: int = 0
    """Sequence of the record in this log with the last reconciliation without differences."""
    consecutive_mismatches: int = 0
    venue_connectivity: VenueConnectivity | None = None

    @property
    def trading_state(self) -> TradingState:
        """The most severe state of the active causes."""
        return trading_state_of(frozenset(self.causes))

    @property
    def next_sequence(self) -> int:
        """Sequence of the next record of the log."""
        return self.last_sequence + 1

    @property
    def latched_causes(self) -> tuple[Cause, ...]:
        """Active causes that only an operator can clear."""
        return tuple(cause for cause in self.causes if CAUSE_EFFECTS[cause].latched)

    @property
    def outbox(self) -> tuple[LiveOrder, ...]:
        """Approved intents that execution has not yet reported as received."""
        return tuple(order for order in self.orders.values() if order.state is None)

    @property
    def unknown_orders(self) -> tuple[LiveOrder, ...]:
        """Orders whose outcome at the venue is unknown."""
        return tuple(order for order in self.orders.values() if order.state is OrderState.UNKNOWN)

    def exposure(self, symbol: Symbol) -> Exposure:
        """Return a symbol's exposure; an unknown symbol is flat."""
        return self.exposures.get(symbol) or Exposure(symbol)

    def positions(self) -> dict[Symbol, Quantity]:
        """Return the held quantity by symbol, without flat symbols."""
        return {symbol: one.quantity for symbol, one in self.exposures.items() if one.quantity != ZERO}


def order_fingerprint(intent: Intent) -> tuple[Any, ...]:
    """Return the fields by which a broker recognises two orders as the same."""
    return (intent.symbol, intent.side, intent.quantity, intent.order_type, intent.limit_price)


def approvals_last_minute(state: RiskState, now_ns: int) -> int:
    """Return the number of approvals in the last 60 to 65 seconds."""
    oldest = now_ns // RATE_STEP_NS - RATE_STEPS
    return sum([count for step, count in state.approvals_by_step if step >= oldest])


def encode_state(state: RiskState) -> bytes:
    """Encode a state for comparison: equal states give equal bytes."""
    return _state_encoder.encode(state)


def _encode_limits(value: Any) -> Any:  # noqa: ANN401 -- any type that msgspec does not know
    if isinstance(value, Limits):
        return value.canonical_json
    raise NotImplementedError(type(value).__name__)


_state_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_encode_limits)
