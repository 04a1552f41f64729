"""What one data connection hears: a set of symbols per channel, the star for all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STAR = "*"
ASKED = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds")
FOLLOWS_TRADES = ("corrections", "cancelErrors")
LIMITED = ("trades", "quotes")


@dataclass(slots=True)
class Subscriptions:
    """The present set; a refused change leaves it as it was."""

    symbols_max: int
    listed: frozenset[str]
    channels: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in ASKED})

    def add(self, wanted: Mapping[str, Iterable[str]]) -> bool:
        """Add symbols; false, and nothing added, where the plan's limit would be passed."""
        after = {name: held | set(wanted.get(name, ())) for name, held in self.channels.items()}
        if self._count(after) > self.symbols_max:
            return False
        self.channels = after
        return True

    def remove(self, unwanted: Mapping[str, Iterable[str]]) -> None:
        """Take symbols away."""
        for name, held in self.channels.items():
            held -= set(unwanted.get(name, ()))

    def hears(self, channel: str, symbol: str) -> bool:
        """Tell whether a message is wanted."""
        held = self.channels[channel]
        return symbol in held or STAR in held

    def document(self) -> dict[str, object]:
        """State the whole set; corrections and cancellations follow trades by themselves."""
        shown = {name: sorted(held) for name, held in self.channels.items()}
        return {"T": "subscription", **shown, **{name: sorted(self.channels["trades"]) for name in FOLLOWS_TRADES}}

    def _count(self, channels: Mapping[str, set[str]]) -> int:
        named = set().union(*(channels[name] for name in LIMITED))
        return len(named | self.listed if STAR in named else named)
