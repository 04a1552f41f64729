"""The channels of Deribit: what a name such as `book.BTC-PERPETUAL.raw` asks for."""

from enum import StrEnum

from msgspec import Struct

RAW, FAST, AGGREGATED = "raw", "100ms", "agg2"
# How often each interval is pushed; raw follows every change.
PERIOD_MS = {RAW: 0, FAST: 100, AGGREGATED: 1000}


class Topic(StrEnum):
    """The kinds of channel."""

    BOOK = "book"
    TRADES = "trades"
    QUOTE = "quote"
    TICKER = "ticker"


class Channel(Struct, frozen=True):
    """A channel of one instrument, or the trades of a kind and currency."""

    topic: Topic
    interval: str
    instrument: str = ""
    kind: str = ""
    currency: str = ""

    def name(self) -> str:
        """Write the channel as clients name it."""
        middle = self.instrument or f"{self.kind}.{self.currency}"
        return f"{self.topic}.{middle}" + ("" if self.topic is Topic.QUOTE else f".{self.interval}")


def read_channel(name: str) -> Channel | None:
    """Read a channel's name; nothing where no channel has such a name."""
    match name.split("."):
        case ["quote", instrument]:
            # Quotes have no interval: they come as the best price changes, in the venue's own pace.
            return Channel(Topic.QUOTE, FAST, instrument=instrument)
        case ["book" | "ticker" | "trades" as topic, instrument, interval] if interval in PERIOD_MS:
            return Channel(Topic(topic), interval, instrument=instrument)
        case ["trades", kind, currency, interval] if interval in PERIOD_MS:
            return Channel(Topic.TRADES, interval, kind=kind, currency=currency)
        case _:
            return None
