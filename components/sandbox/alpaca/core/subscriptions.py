"""What one data connection hears: a set of symbols per channel, the star for all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ALL_SYMBOLS = "*"


LIMITED_CHANNELS = ("trades", "quotes")


@dataclass(frozen=True, slots=True)
class StreamChannels:
    """What can be heard of one kind of asset, and what is heard by itself where its trades are."""

    subscribable: tuple[str, ...]
    follows_trades: tuple[str, ...] = ()


STOCK_CHANNELS = StreamChannels(
    ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds"), ("corrections", "cancelErrors")
)


CRYPTO_CHANNELS = StreamChannels(("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"))


@dataclass(slots=True)
class Subscriptions:
    """The present set; a refused change leaves it as it was."""

    symbols_max: int
    listed: frozenset[str]
    offered: StreamChannels = STOCK_CHANNELS
    channels: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with nothing."""
        self.channels = {name: set() for name in self.offered.subscribable}

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

    def includes(self, channel: str, symbol: str) -> bool:
        """Tell whether a message is wanted."""
        held = self.channels[channel]
        return symbol in held or ALL_SYMBOLS in held

    def document(self) -> dict[str, object]:
        """State the whole set; corrections and cancellations follow trades by themselves."""
        shown = {name: sorted(held) for name, held in self.channels.items()}
        return {
            "T": "subscription",
            **shown,
            **{name: sorted(self.channels["trades"]) for name in self.offered.follows_trades},
        }

    def _count(self, channels: Mapping[str, set[str]]) -> int:
        named = set().union(*(channels[name] for name in LIMITED_CHANNELS))
        return len(named | self.listed if ALL_SYMBOLS in named else named)
