"""What a venue's adapter tells the service, in words that every venue shares."""

from typing import TypeAlias

from msgspec import Struct

from components.contracts.market import Quote, Trade


class Subscribed(Struct, frozen=True, gc=False):
    """The venue confirmed every symbol; prices follow."""


class Batch(Struct, frozen=True, gc=False):
    """One frame of the venue: what was understood, and how many parts of it were not."""

    messages: tuple[Quote | Trade, ...]
    unknown: int = 0
    malformed: int = 0


class Dropped(Struct, frozen=True, gc=False):
    """The connection is gone, or never came; `final` where trying again cannot help."""

    reason: str
    final: bool


FeedMessage: TypeAlias = Subscribed | Batch | Dropped
