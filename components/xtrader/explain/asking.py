"""What the verb asks: the story of an order with the model's name beside it."""

from dataclasses import dataclass
from typing import Any

from components.runtime.config import load_settings
from components.signals.config import SignalsConfig
from components.xtrader.explain.facts import history_as_dict
from components.xtrader.explain.finding import find_history
from components.xtrader.explain.models import model_name
from components.xtrader.explain.story import OrderHistory
from components.xtrader.explain.words import full_text


@dataclass(frozen=True, slots=True)
class Explanation:
    """A story and the name of the model in it."""

    history: OrderHistory
    model_name: str | None

    def text_lines(self) -> list[str]:
        """Tell it to a person."""
        return full_text(self.history, self.model_name)

    def as_dict(self) -> dict[str, Any]:
        """Tell it to a machine."""
        return history_as_dict(self.history, self.model_name)


def explain_order(order: str) -> Explanation | None:
    """Find an order of the configured account; None where no journal knows it."""
    settings = load_settings({"signals": SignalsConfig})
    story = find_history(settings.paths, order)
    if story is None:
        return None
    card = settings.paths.root / settings.table("signals", SignalsConfig).model
    return Explanation(story, model_name(card, story))
