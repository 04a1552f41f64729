"""What the verb asks: the story of an order with the model's name beside it."""

from dataclasses import dataclass
from typing import Any

from components.runtime.config import load
from components.signals.config import SignalsConfig
from components.xtrader.explain.facts import facts_of
from components.xtrader.explain.finding import find
from components.xtrader.explain.models import model_name
from components.xtrader.explain.story import Story
from components.xtrader.explain.words import in_full


@dataclass(frozen=True, slots=True)
class Told:
    """A story and the name of the model in it."""

    story: Story
    model: str | None

    def lines(self) -> list[str]:
        """Tell it to a person."""
        return in_full(self.story, self.model)

    def facts(self) -> dict[str, Any]:
        """Tell it to a machine."""
        return facts_of(self.story, self.model)


def story_of(order: str) -> Told | None:
    """Find an order of the configured account; None where no journal knows it."""
    settings = load({"signals": SignalsConfig})
    story = find(settings.places, order)
    if story is None:
        return None
    card = settings.places.root / settings.table("signals", SignalsConfig).model
    return Told(story, model_name(card, story))
