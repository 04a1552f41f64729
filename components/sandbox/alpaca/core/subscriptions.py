"""Subscriptions of one market-data connection: a set of symbols per channel; `*` stands for all symbols."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

ALL_SYMBOLS = "*"
LIMITED_CHANNELS = ("trades", "quotes")


@dataclass(frozen=True, slots=True)
class StreamChannels:
    """Channels of one asset class: those to subscribe to, and those that are sent with a subscription to trades."""

    subscribable: tuple[str, ...]
    follows_trades: tuple[str, ...] = ()


STOCK_CHANNELS = StreamChannels(
    ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds"), ("corrections", "cancelErrors")
)
CRYPTO_CHANNELS = StreamChannels(("trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"))


@dataclass(slots=True)
class Subscriptions:
    """The current subscriptions; a rejected request leaves them unchanged."""

    symbols_max: int
    listed: frozenset[str]
    offered: StreamChannels = STOCK_CHANNELS
    channels: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        """Start without symbols."""
        self.channels = {name: set() for name in self.offered.subscribable}

    def add(self, requested: Mapping[str, Iterable[str]]) -> bool:
        """Add symbols; return False, with nothing added, if the plan's limit would be exceeded."""
        after = {name: held | set(requested.get(name, ())) for name, held in self.channels.items()}
        if self._count(after) > self.symbols_max:
            return False
        self.channels = after
        return True

    def remove(self, unwanted: Mapping[str, Iterable[str]]) -> None:
        """Remove symbols."""
        for name, held in self.channels.items():
            held -= set(unwanted.get(name, ()))

    def includes(self, channel: str, symbol: str) -> bool:
        """Return whether a message of this channel and symbol is subscribed to."""
        held = self.channels[channel]
        return symbol in held or ALL_SYMBOLS in held

    def document(self) -> dict[str, object]:
        """Return all subscriptions; corrections and cancellations follow those of trades."""
        shown = {name: sorted(held) for name, held in self.channels.items()}
        return {
            "T": "subscription",
            **shown,
            **{name: sorted(self.channels["trades"]) for name in self.offered.follows_trades},
        }

    def _count(self, channels: Mapping[str, set[str]]) -> int:
        named = set().union(*(channels[name] for name in LIMITED_CHANNELS))
        return len(named | self.listed if ALL_SYMBOLS in named else named)
