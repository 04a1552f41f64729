"""The story of one intent: risk's decision, and each order event after it, as both journals hold them."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from components.contracts.decisions import CommandRejected, Decision, DecisionMessage
from components.contracts.orders import (
    ControlReceived,
    Filled,
    IntentReceived,
    OrderMessage,
    OrderSending,
    OrderState,
    OrderUpdated,
)
from components.contracts.signals import Intent
from components.contracts.values import ZERO, Side, Symbol

NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One record of execution's journal, or risk's word that execution refused the hand-over."""

    sequence: int
    record: OrderMessage | CommandRejected

    @property
    def at_ns(self) -> int:
        """When it was so."""
        return self.record.at_ns


@dataclass(slots=True)
class OrderHistory:
    """What is known of one intent; it grows while records arrive."""

    order_id: str
    decision: Decision | None = None
    decision_sequence: int = 0
    events: list[HistoryEvent] = field(default_factory=list)

    @property
    def intent(self) -> Intent | None:
        """What somebody wanted, from whichever journal holds it; None for an order that is not ours."""
        if self.decision is not None:
            return self.decision.intent
        return next((one.record.intent for one in self.events if isinstance(one.record, IntentReceived)), None)

    @property
    def client_order_id(self) -> str | None:
        """The name under which the venue knows the order, the newest where there were several."""
        named = (getattr(one.record, "client_order_id", None) for one in reversed(self.events))
        return next((name for name in named if name), None)

    @property
    def state(self) -> OrderState | None:
        """Where the order is; None where execution never had it."""
        for step in reversed(self.events):
            match step.record:
                case OrderUpdated(state=state):
                    return state
                case OrderSending():
                    return OrderState.SENDING
                case IntentReceived():
                    return OrderState.RECEIVED
                case _:
                    continue
        return None

    @property
    def fills(self) -> list[Filled]:
        """Every execution of it."""
        return [step.record for step in self.events if isinstance(step.record, Filled)]

    @property
    def symbol(self) -> Symbol | None:
        """What is traded."""
        return next(iter(self._values_of("symbol")), None)

    @property
    def side(self) -> Side | None:
        """Which way."""
        return next(iter(self._values_of("side")), None)

    @property
    def filled_quantity(self) -> Decimal:
        """How much of it was executed."""
        return sum((fill.quantity for fill in self.fills), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """What was paid or got on average; None before the first fill."""
        money = sum((fill.quantity * fill.price for fill in self.fills), ZERO)
        return money / self.filled_quantity if self.filled_quantity else None

    def since_tick_ms(self, at_ns: int) -> float | None:
        """Give the time since the venue's frame was decoded; None where no tick is known."""
        return None if self.intent is None else (at_ns - self.intent.tick_at_ns) / NS_PER_MS

    def _values_of(self, name: str) -> list[Any]:
        holders = (self.intent, *(step.record for step in self.events))
        return [value for one in holders if (value := getattr(one, name, None)) is not None]


def identifiers_of(message: OrderMessage | DecisionMessage) -> set[str]:
    """Give every name under which a record may be looked for; a cancel or a withdrawal has those of its order."""
    about: object = message
    match message:
        case Decision(intent=intent):
            return {intent.intent_id, intent.signal_id}
        case IntentReceived(intent=intent, client_order_id=name):
            return {intent.intent_id, name}
        case ControlReceived(control=control):
            about = control
        case _:
            pass
    named = (getattr(about, one, None) for one in ("client_order_id", "intent_id"))
    return {one for one in named if one}
