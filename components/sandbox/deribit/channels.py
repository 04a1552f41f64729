"""The channels of Deribit: what a name such as `book.BTC-PERPETUAL.raw` asks for."""

from enum import StrEnum

from msgspec import Struct

RAW, FAST, AGGREGATED = "raw", "100ms", "agg2"
# How often each interval is pushed; raw follows every change.
PERIOD_MS = {RAW: 0, FAST: 100, AGGREGATED: 1000}
PLATFORM = "platform_state"


class Topic(StrEnum):
    """The kinds of channel."""

    BOOK = "book"
    TRADES = "trades"
    QUOTE = "quote"
    TICKER = "ticker"
    PLATFORM = PLATFORM


class Channel(Struct, frozen=True):
    """A channel of one instrument, the trades of a kind and currency, or the state of the platform."""

    topic: Topic
    interval: str = RAW
    instrument: str = ""
    kind: str = ""
    currency: str = ""

    @property
    def name(self) -> str:
        """Write the channel as clients name it."""
        match self.topic:
            case Topic.PLATFORM:
                return PLATFORM
            case Topic.QUOTE:
                return f"{self.topic}.{self.instrument}"
            case _:
                return f"{self.topic}.{self.instrument or f'{self.kind}.{self.currency}'}.{self.interval}"

    @property
    def needs_login(self) -> bool:
        """Tell whether the channel is one of those in which every single change is told."""
        return self.interval == RAW and self.topic not in {Topic.QUOTE, Topic.PLATFORM}


def parse_channel(name: str) -> Channel | None:
    """Read a channel's name; nothing where no channel has such a name."""
    match name.split("."):
        case ["platform_state"]:
            return Channel(Topic.PLATFORM)
        case ["quote", instrument]:
            return Channel(Topic.QUOTE, instrument=instrument)
        case ["book" | "ticker" | "trades" as topic, instrument, interval] if interval in PERIOD_MS:
            return Channel(Topic(topic), interval, instrument=instrument)
        case ["trades", kind, currency, interval] if interval in PERIOD_MS:
            return Channel(Topic.TRADES, interval, kind=kind, currency=currency)
        case _:
            return None
