"""The header of every frame on the bus, and what subscribers ask of a stream's side socket.

What every component says of itself.
"""

from enum import IntEnum
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.values import StreamOffset

SCHEMA_VERSION: Final = 1


SCHEMA_VERSIONS_READ: Final = frozenset({SCHEMA_VERSION})
"""The current version and the one before it."""


class FrameKind(IntEnum):
    """What a frame on a stream is."""

    MESSAGE = 0
    HEARTBEAT = 1


class Header(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Who said it, where it stands in the stream, and when (wall clock, ns).

    `event_at_ns` is the venue's own stamp, `received_at_ns` when the cause of this message reached us; both 0 where
    there is none. A heartbeat carries the place of the last message before it. `run` is new at every start of the
    producer, so that what an event stream said before anybody was connected to it is not taken for a loss.
    """

    schema: int
    kind: FrameKind
    producer: str
    epoch: str
    sequence: int
    event_at_ns: int
    received_at_ns: int
    sent_at_ns: int
    correlation_id: bytes = b""
    run: str = ""


class SnapshotRequest(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """Give me the present state of a state stream, and its place."""

    stream: str


class ReplayRequest(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """Give me an event stream's records from this one on (bounded; ask again for more)."""

    stream: str
    from_sequence: int


class SubscriberProgress(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """How far a subscriber has come; it is not answered."""

    subscriber: str
    offset: StreamOffset


RecoveryRequest: TypeAlias = SnapshotRequest | ReplayRequest | SubscriberProgress


class RecoveryBatch(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """Messages of a stream up to `place`, each with its sequence (0 in a snapshot); `complete` when nothing follows."""

    offset: StreamOffset
    messages: tuple[tuple[int, bytes], ...]
    complete: bool


class RecoveryUnavailable(Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=True, gc=False):
    """The stream cannot be given, and why."""

    stream: str
    reason: str


RecoveryReply: TypeAlias = RecoveryBatch | RecoveryUnavailable


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
