"""What is to be done next about one order: decided anew each time from where it stands, never remembered as a plan."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias, final

from msgspec import Struct

from components.contracts.orders import OrderState
from components.contracts.signals import Purpose
from components.contracts.trading import TradingState
from components.execution.core.orders import Order

QUERY_DELAYS_NS: Final = (200_000_000, 500_000_000, 1_000_000_000, 2_000_000_000, 4_000_000_000)
"""How long to wait before asking for an unknown outcome again; the last one repeats."""

DELAY_NS_MAX: Final = 60_000_000_000
"""No step is put off for longer, whatever the venue says."""


class Unsent(StrEnum):
    """Why the last attempt certainly was not processed."""

    THROTTLED = "throttled by the venue"
    UNREACHABLE = "the venue could not be reached"


@dataclass(slots=True)
class Errand:
    """What is going on about an order in this process; a restart begins it anew."""

    posted_at_ns: int = 0
    """When the order (or its fence) left; 0 while no answer is awaited."""
    asked_at_ns: int = 0
    """When a question or a cancel left; 0 while no answer is awaited."""
    tries: int = 0
    due_at_ns: int = 0
    is_missing: bool = False
    """The venue's last word was that it does not know the order."""
    unsent: Unsent | None = None
    doubt: str = ""
    """Why the venue has to be asked although the order is not in question."""
    cancel_requests: int = 0

    def wait(self, now_ns: int) -> None:
        """Put the next step off, longer each time."""
        self.due_at_ns = now_ns + QUERY_DELAYS_NS[min(self.tries, len(QUERY_DELAYS_NS) - 1)]
        self.tries += 1


@final
class Stance(Struct, frozen=True, gc=False, kw_only=True):
    """What holds for all orders now."""

    is_ready: bool
    """Every older intent is resolved and the account reconciled, so that new ones may leave."""
    is_venue_lost: bool
    is_stopping: bool
    trading: TradingState
    has_collided: bool


@final
class Wait(Struct, frozen=True, gc=False):
    """Nothing is due."""


@final
class Send(Struct, frozen=True, gc=False):
    """Send the order, for the first time or again under the same id."""


@final
class Ask(Struct, frozen=True, gc=False):
    """Ask the venue for the order."""


@final
class Rest(Struct, frozen=True, gc=False):
    """Put the next question off, longer each time."""


@final
class PutFence(Struct, frozen=True, gc=False):
    """Use up the order's id."""


@final
class AskToCancel(Struct, frozen=True, gc=False):
    """Ask the venue to cancel the order."""


@final
class Settle(Struct, frozen=True, gc=False):
    """Write down a state that needs no word of the venue."""

    state: OrderState
    reason: str


Step: TypeAlias = Wait | Send | Ask | Rest | PutFence | AskToCancel | Settle

WAIT: Final = Wait()


def next_step(order: Order, errand: Errand, stance: Stance, now_ns: int) -> Step:
    """Decide what is due."""
    match order.state:
        case OrderState.RECEIVED:
            return _unsent(order, stance, now_ns)
        case OrderState.SENDING:
            return _sending(order, errand, stance, now_ns)
        case OrderState.UNKNOWN:
            return _unknown(order, errand, stance, now_ns)
        case OrderState.OPEN | OrderState.PARTIALLY_FILLED | OrderState.CANCELLING:
            return _working(order, errand, now_ns)
        case _:
            return Ask() if errand.doubt and _is_due(errand, now_ns) else WAIT


def withheld(order: Order, stance: Stance, now_ns: int) -> str:
    """Say why an order may not leave (again); empty if it may."""
    if order.is_cancel_wanted or order.is_withdrawn:
        return "cancelled" if order.is_cancel_wanted else "withdrawn"
    if now_ns >= order.expires_at_ns:
        return "the approval expired"
    if stance.is_stopping:
        return "stopping"
    if stance.has_collided:
        return "a client order id collided"
    if not may_leave(order.purpose, stance.trading):
        return f"trading is {stance.trading}"
    return ""


def may_leave(purpose: Purpose | None, trading: TradingState) -> bool:
    """Say whether an approved order may still leave after the trading state changed."""
    match trading:
        case TradingState.ACTIVE:
            return True
        case TradingState.REDUCING:
            return purpose is not None and purpose.only_shrinks
        case TradingState.HALTED:
            return purpose in (Purpose.STOP, Purpose.FLATTEN)


def _unsent(order: Order, stance: Stance, now_ns: int) -> Step:
    if reason := withheld(order, stance, now_ns):
        return Settle(OrderState.NEVER_SENT, reason)
    return Send() if stance.is_ready and not stance.is_venue_lost else WAIT


def _sending(order: Order, errand: Errand, stance: Stance, now_ns: int) -> Step:
    if errand.posted_at_ns:
        return WAIT
    if errand.unsent is None:
        return Settle(OrderState.UNKNOWN, "the process ended while sending")
    if reason := withheld(order, stance, now_ns):
        return Settle(OrderState.NEVER_SENT, f"{errand.unsent}, then {reason}")
    return Send() if _is_due(errand, now_ns) and not stance.is_venue_lost else WAIT


def _unknown(order: Order, errand: Errand, stance: Stance, now_ns: int) -> Step:
    if errand.posted_at_ns or not _is_due(errand, now_ns):
        return WAIT
    if not errand.is_missing:
        return Ask()
    if order.is_cancel_wanted or now_ns >= order.expires_at_ns:
        return PutFence()
    # Alive but withheld: it may not be sent again, and its id need not be used up before the approval ends.
    return Rest() if withheld(order, stance, now_ns) or stance.is_venue_lost else Send()


def _working(order: Order, errand: Errand, now_ns: int) -> Step:
    if not _is_due(errand, now_ns):
        return WAIT
    if errand.doubt:
        return Ask()
    if order.is_cancel_wanted and order.venue_order_id is not None:
        return AskToCancel()
    return WAIT


def _is_due(errand: Errand, now_ns: int) -> bool:
    # Nothing is ever put off for longer: a due time further away means that the clock was set back.
    is_time = not now_ns < errand.due_at_ns <= now_ns + DELAY_NS_MAX
    return not errand.asked_at_ns and is_time
