"""The account as the log tells it."""

from typing import Any, Final

import msgspec
from msgspec import Struct

from components.contracts.orders import OrderState, VenueConnectivity
from components.contracts.signals import Intent
from components.contracts.trading import CAUSE_EFFECTS, Cause, TradingState, trading_state_of
from components.contracts.values import ZERO, AccountId, Quantity, StreamOffset, Symbol
from components.risk.core.ledger import Exposure
from components.risk.core.limits import Limits
from components.risk.core.memory import ReplyCache
from components.risk.core.orders import LiveOrder

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
