"""The header of every frame on the bus, and what subscribers ask of a stream's side socket.

What every component says of itself.
"""

from enum import IntEnum
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.values import StreamOffset

SCHEMA_VERSION: Final = 2
"""Version of the messages on the bus; it rises when an old reader could misread a new message."""

SCHEMA_VERSIONS_READ: Final = frozenset({SCHEMA_VERSION})
"""Versions that this release reads. Version 1 had tags that followed the class names of that time."""


class Message(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of every tagged message on the bus and in the journals: an immutable array with the tag in front.

    A subclass names its tag (`class Quote(Message, frozen=True, tag="Quote")`). A tag is never changed, fields are only
    added at the end and with a default: every journal that a released version wrote must stay readable.
    """


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


class SnapshotRequest(Message, frozen=True, tag="SnapshotRequest"):
    """Give me the present state of a state stream, and its place."""

    stream: str


class ReplayRequest(Message, frozen=True, tag="ReplayRequest"):
    """Give me an event stream's records from this one on (bounded; ask again for more)."""

    stream: str
    from_sequence: int


class SubscriberProgress(Message, frozen=True, tag="SubscriberProgress"):
    """How far a subscriber has come; it is not answered."""

    subscriber: str
    offset: StreamOffset


RecoveryRequest: TypeAlias = SnapshotRequest | ReplayRequest | SubscriberProgress


class RecoveryBatch(Message, frozen=True, tag="RecoveryBatch"):
    """Messages of a stream up to `place`, each with its sequence (0 in a snapshot); `complete` when nothing follows."""

    offset: StreamOffset
    messages: tuple[tuple[int, bytes], ...]
    complete: bool


class RecoveryUnavailable(Message, frozen=True, tag="RecoveryUnavailable"):
    """The stream cannot be given, and why."""

    stream: str
    reason: str


RecoveryReply: TypeAlias = RecoveryBatch | RecoveryUnavailable


class ComponentHealth(Message, frozen=True, tag="ComponentHealth"):
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
