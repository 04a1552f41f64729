"""The seam to a venue: the only async code, spoken to in messages."""

from collections.abc import Callable
from typing import Any, Protocol


class VenueClient(Protocol):
    """Carries requests to a venue; what the venue or the network may do to one is an answer, not an exception."""

    async def open(self) -> None:
        """Make connections; called once on the loop, before the first call."""

    async def call(self, request: Any) -> Any:  # noqa: ANN401 -- the adapter's own vocabulary
        """Carry one request out within a deadline of its own."""

    async def close(self) -> None:
        """Let connections go."""


class VenueEventSource(Protocol):
    """What a venue says by itself."""

    async def run(self, deliver: Callable[[Any], None]) -> None:
        """Deliver everything the venue says, connecting again for ever; it ends only by being cancelled."""
