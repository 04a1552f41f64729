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
from components.xtrader.explain.story import Step, Story

KEPT_MAX: Final = 200


class Newest:
    """Stories by intent, the oldest dropped first; an order that is not ours goes by its client order id."""

    def __init__(self) -> None:
        self._stories: OrderedDict[str, Story] = OrderedDict()

    def take_decision(self, sequence: int, message: DecisionMessage) -> None:
        """Begin a story, or add the verdict to one whose order was read first."""
        if isinstance(message, Decision):
            story = self._of(message.intent.intent_id)
            story.decision, story.decision_sequence = message, sequence

    def take_event(self, sequence: int, message: OrderMessage) -> None:
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
            self._of(name).steps.append(Step(sequence, message))

    def of(self, fill: Filled) -> Story:
        """Give the story that a fill belongs to."""
        return self._of(fill.intent_id or fill.client_order_id)

    def __iter__(self) -> Iterator[Story]:
        """Give them, the newest first."""
        return reversed(self._stories.values())

    def _of(self, name: str) -> Story:
        if name not in self._stories:
            self._stories[name] = Story(name)
            if len(self._stories) > KEPT_MAX:
                self._stories.popitem(last=False)
        return self._stories[name]
