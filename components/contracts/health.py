"""What every component says of itself."""

from typing import TypeAlias

from msgspec import Struct

from components.contracts.values import StreamOffset


class ComponentHealth(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """I am alive; this is what I still wait for, and how far I have heard each stream."""

    component: str
    version: str
    unmet: tuple[str, ...]
    offsets: tuple[StreamOffset, ...]
    at_ns: int

    @property
    def is_ready(self) -> bool:
        """Say whether nothing is waited for."""
        return not self.unmet


HealthMessage: TypeAlias = ComponentHealth
