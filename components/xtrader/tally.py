"""Counts what this run did, from the records of the two journals."""

from collections import Counter
from dataclasses import dataclass, field

from components.contracts.decisions import Decision, DecisionMessage
from components.contracts.orders import Filled, OrderMessage, OrderSending, OrderState, OrderUpdated
from components.contracts.values import ClientOrderId


@dataclass(slots=True)
class RunStatistics:
    """Orders, fills and verdicts since this run began."""

    submitted: set[ClientOrderId] = field(default_factory=set)
    states: dict[ClientOrderId, OrderState] = field(default_factory=dict)
    fills: int = 0
    first_fill: Filled | None = None
    approved_signals: int = 0
    refused_signals: int = 0
    refusals_by_check: Counter[str] = field(default_factory=Counter)

    def count_order_event(self, message: OrderMessage) -> None:
        """Take in one record of execution's journal."""
        match message:
            case OrderSending(client_order_id=name):
                self.submitted.add(name)
                self.states[name] = OrderState.SENDING
            case OrderUpdated(client_order_id=name, state=state):
                self.states[name] = state
            case Filled():
                self.fills += 1
                self.first_fill = self.first_fill or message
            case _:
                return

    def count_decision(self, message: DecisionMessage) -> None:
        """Take in one record of risk's log."""
        if not isinstance(message, Decision):
            return
        if message.allowed:
            self.approved_signals += 1
        else:
            self.refused_signals += 1
        self.refusals_by_check.update(str(one.name) for one in message.failed_checks)

    def order_counts(self) -> dict[str, int]:
        """Count the orders by what became of them; unknown is what is unknown now."""
        became = Counter(self.states.values())
        return {
            "submitted": len(self.submitted),
            "filled": became[OrderState.FILLED],
            "rejected": became[OrderState.REJECTED],
            "unknown": became[OrderState.UNKNOWN],
        }
