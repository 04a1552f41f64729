"""The newest stories of a run, kept while both journals are followed."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from components.contracts.decisions import Decision, DecisionMessage
from components.contracts.orders import (
    ControlReceived,
    Filled,
    IntentReceived,
    OrderMessage,
    OrderSending,
    OrderUpdated,
)
from components.xtrader.explain.story import HistoryEvent, OrderHistory

HISTORIES_MAX: Final = 200


class RecentHistories:
    """Stories by intent, the oldest dropped first; an order that is not ours goes by its client order id."""

    def __init__(self) -> None:
        self._histories: OrderedDict[str, OrderHistory] = OrderedDict()

    def add_decision(self, sequence: int, message: DecisionMessage) -> None:
        """Begin a story, or add the verdict to one whose order was read first."""
        if isinstance(message, Decision):
            story = self._get_or_create(message.intent.intent_id)
            story.decision, story.decision_sequence = message, sequence

    def add_order_event(self, sequence: int, message: OrderMessage) -> None:
        """Go on with a story."""
        match message:
            case IntentReceived(intent=intent):
                name: str | None = intent.intent_id
            case OrderSending() | OrderUpdated() | Filled():
                name = message.intent_id or message.client_order_id
            case ControlReceived(control=control):
                name = getattr(control, "intent_id", None)
            case _:
                name = None
        if name is not None:
            self._get_or_create(name).events.append(HistoryEvent(sequence, message))

    def history_of(self, fill: Filled) -> OrderHistory:
        """Give the story that a fill belongs to."""
        return self._get_or_create(fill.intent_id or fill.client_order_id)

    def __iter__(self) -> Iterator[OrderHistory]:
        """Give them, the newest first."""
        return reversed(self._histories.values())

    def _get_or_create(self, name: str) -> OrderHistory:
        if name not in self._histories:
            self._histories[name] = OrderHistory(name)
            if len(self._histories) > HISTORIES_MAX:
                self._histories.popitem(last=False)
        return self._histories[name]
