"""Orders that may still move a position: approved, on their way, unknown or working.

Which intents were judged, and what was answered: bounded, and sure of what it has forgotten.

The account as the log tells it.
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


class LiveOrder(Struct, frozen=True, array_like=True, gc=False):
    """An order whose exposure is reserved; `state` is None until execution says that it has it.

    Only our own have an intent and terms; orders that somebody else placed on the account count just the same.
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
        """What it may still fill."""
        return max(self.quantity - self.filled, ZERO)

    @property
    def is_closed(self) -> bool:
        """Say whether it is final and every fill it told of has been counted."""
        return self.state is not None and self.state.is_final and self.remaining <= ZERO

    def is_own_working_before(self, since_ns: int) -> bool:
        """Say whether it is our own and has been working since before then."""
        is_working = self.intent is not None and self.state is not None and self.state.is_working
        return is_working and 0 < self.working_since_ns < since_ns


def order_key(intent_id: IntentId | None, client_order_id: ClientOrderId) -> str:
    """Name an order in our books; a stranger's name holds a sign that no intent id can have."""
    return intent_id if intent_id is not None else f"~{client_order_id}"


def live_order_from(decision: Decision) -> LiveOrder:
    """Reserve what was just approved."""
    intent = decision.intent
    return LiveOrder(intent.symbol, intent.side, intent.quantity, intent=intent, terms=decision.terms)


def apply_received(order: LiveOrder | None, event: IntentReceived) -> LiveOrder:
    """Note that execution has it; an approval we had written off is reserved again."""
    intent = event.intent
    known = order or LiveOrder(intent.symbol, intent.side, intent.quantity, intent=intent, terms=event.terms)
    return replace(known, state=OrderState.RECEIVED, client_order_id=event.client_order_id)


def apply_sending(order: LiveOrder, event: OrderSending) -> LiveOrder:
    """Note under which name it leaves."""
    return replace(order, state=OrderState.SENDING, client_order_id=event.client_order_id)


def apply_update(order: LiveOrder | None, event: OrderUpdated) -> LiveOrder:
    """Move to the state that execution states.

    A final order keeps reserved only the fills that are announced and not counted yet.
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
    """Take one execution off what is reserved.

    Our own fills are all counted here, one by one; of a stranger's order we may have missed the first.
    """
    counted = order.filled + event.quantity if order.intent else max(order.filled, event.cumulative_quantity)
    return replace(order, filled=counted)


def is_unsent(order: LiveOrder) -> bool:
    """Say whether the order may still be held back: it has not left execution."""
    return order.intent is not None and order.state in (None, OrderState.RECEIVED)


CHUNK_SIZE: Final = 256


CHUNK_COUNT: Final = 8
"""The last 1,792 to 2,048 intents are remembered: minutes of any strategy, about 7 MB."""


DIGEST_BYTES: Final = 16


_encode: Final = msgspec.msgpack.Encoder().encode


class CachedReply(Struct, frozen=True, array_like=True, gc=False):
    """One answer, and the intent it was given to."""

    intent: Intent
    reply: ApprovalReply

    @property
    def digest(self) -> bytes:
        """Tell the intent apart from any other; worked out only when its id comes again."""
        return intent_digest(self.intent)


class ReplyCache(Struct, frozen=True, array_like=True, gc=False):
    """Answers in chunks by age, so that remembering one more copies a small dictionary and never all of them.

    Whatever was created at or before `forgotten_at_ns` may have been approved and forgotten.
    """

    newest: dict[IntentId, CachedReply] = {}
    older: tuple[dict[IntentId, CachedReply], ...] = ()
    evicted_through_ns: int = 0

    def find(self, intent_id: IntentId) -> CachedReply | None:
        """Give what was answered to this intent id."""
        found = self.newest.get(intent_id)
        if found is None:
            for chunk in self.older:
                if (found := chunk.get(intent_id)) is not None:
                    break
        return found


def intent_digest(intent: Intent) -> bytes:
    """Tell an intent's content apart from any other."""
    return blake2b(_encode(intent), digest_size=DIGEST_BYTES).digest()


def with_reply(cache: ReplyCache, intent: Intent, reply: ApprovalReply) -> ReplyCache:
    """Remember one more answer; the first answer given to an id stays the answer."""
    intent_id = intent.intent_id
    if cache.find(intent_id) is not None:
        return cache
    young = cache.newest.copy()
    young[intent_id] = CachedReply(intent, reply)
    if len(young) < CHUNK_SIZE:
        return ReplyCache(young, cache.older, cache.evicted_through_ns)
    return _rotate(young, cache)


def _rotate(full: dict[IntentId, CachedReply], cache: ReplyCache) -> ReplyCache:
    old = (full, *cache.older)
    kept, dropped = old[: CHUNK_COUNT - 1], old[CHUNK_COUNT - 1 :]
    # A refusal that is forgotten does no harm: judged again, the intent is approved once at most.
    forgotten = (one.intent.created_at_ns for chunk in dropped for one in chunk.values() if one.reply.allowed)
    return ReplyCache({}, kept, max(cache.evicted_through_ns, *forgotten, 0))


RATE_STEP_NS: Final = 5_000_000_000
"""Approvals are counted in steps of five seconds: the minute of the order rate is then 60 to 65 seconds, never less."""


RATE_STEPS: Final = 12


RECENT_APPROVALS_MAX: Final = 64
"""So many approvals are compared when the same order comes again."""


class RecentApproval(Struct, frozen=True, array_like=True, gc=False):
    """When an order was approved and what it looked like."""

    at_ns: int
    fingerprint: tuple[Any, ...]


class RiskState(Struct, frozen=True, gc=False, kw_only=True):
    """Everything risk knows from its own log; replaced as a whole by every record, never changed."""

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
    """How many orders were approved in each step of the last minute, oldest first."""
    orders_offset: StreamOffset | None = None
    reconciled_at_ns: int = 0
    reconciled_sequence: int = 0
    """Which record of this log holds the last reconciliation that left nothing open."""
    consecutive_mismatches: int = 0
    venue_connectivity: VenueConnectivity | None = None

    @property
    def trading_state(self) -> TradingState:
        """The worst of the present causes."""
        return trading_state_of(frozenset(self.causes))

    @property
    def next_sequence(self) -> int:
        """The number that the next record of the log will have."""
        return self.last_sequence + 1

    @property
    def latched_causes(self) -> tuple[Cause, ...]:
        """The causes that stay until they are cleared by hand."""
        return tuple(cause for cause in self.causes if CAUSE_EFFECTS[cause].latched)

    @property
    def outbox(self) -> tuple[LiveOrder, ...]:
        """Approved intents that execution has not been heard to have."""
        return tuple(order for order in self.orders.values() if order.state is None)

    @property
    def unknown_orders(self) -> tuple[LiveOrder, ...]:
        """Orders of which only the venue can tell what became of them."""
        return tuple(order for order in self.orders.values() if order.state is OrderState.UNKNOWN)

    def exposure(self, symbol: Symbol) -> Exposure:
        """Give a symbol's position; one never heard of is flat."""
        return self.exposures.get(symbol) or Exposure(symbol)

    def positions(self) -> dict[Symbol, Quantity]:
        """Give what is held, flat symbols left out."""
        return {symbol: one.quantity for symbol, one in self.exposures.items() if one.quantity != ZERO}


def order_fingerprint(intent: Intent) -> tuple[Any, ...]:
    """Give what makes two orders the same in the eyes of a broker."""
    return (intent.symbol, intent.side, intent.quantity, intent.order_type, intent.limit_price)


def approvals_last_minute(state: RiskState, now_ns: int) -> int:
    """Count the approvals of the last minute."""
    oldest = now_ns // RATE_STEP_NS - RATE_STEPS
    return sum([count for step, count in state.approvals_by_step if step >= oldest])


def encode_state(state: RiskState) -> bytes:
    """Write the state down for comparison: equal states give equal bytes."""
    return _encoder.encode(state)


def _encode_limits(value: Any) -> Any:  # noqa: ANN401 -- msgspec hands over what it does not know
    if isinstance(value, Limits):
        return value.canonical_json
    raise NotImplementedError(type(value).__name__)


_encoder: Final = msgspec.msgpack.Encoder(enc_hook=_encode_limits)
