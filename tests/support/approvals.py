"""Intents, approval terms and sealed frames as risk would create them now, with good defaults."""

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from components.contracts.approval import SealKey, approve, encode_approval
from components.contracts.signals import ApprovalTerms, Intent, propose
from components.contracts.values import AccountId, OrderType, SignalId
from components.runtime.clock import SystemClock
from tests.support.sample_messages import INTENT

ACCOUNT = AccountId("sandbox")
APPROVAL_TTL_NS = 30_000_000_000
FOREIGN_KEY = SealKey(b"not what execution was given....")


def market_order_intent(name: str, **changes: Any) -> Intent:
    """Return an intent that fills at once: one share at the market's price."""
    now_ns = SystemClock().now_ns()
    facts: dict[str, Any] = {
        "signal_id": SignalId(name),
        "leg": 0,
        "quantity": Decimal(1),
        "order_type": OrderType.MARKET,
        "limit_price": None,
        "tick_at_ns": now_ns,
        "created_at_ns": now_ns,
        "expires_at_ns": now_ns + APPROVAL_TTL_NS,
    }
    return replace(INTENT, **facts | changes)


def approval_terms(account: AccountId = ACCOUNT, *, ttl_ns: int = APPROVAL_TTL_NS) -> ApprovalTerms:
    """Return terms that begin now; with a negative lifetime they have expired already."""
    now_ns = SystemClock().now_ns()
    return ApprovalTerms(account, "limits-1", 0, now_ns, now_ns + ttl_ns)


def sealed_frame(intent: Intent, key: SealKey, given: ApprovalTerms | None = None) -> bytes:
    """Return the frame of an approval."""
    return encode_approval(approve(propose(intent), given or approval_terms(), key))


def with_flipped_bit(frame: bytes, at: int) -> bytes:
    """Return the frame with one bit of one byte changed."""
    altered = bytearray(frame)
    altered[at] ^= 0b0000_0100
    return bytes(altered)
