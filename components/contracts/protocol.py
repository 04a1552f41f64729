"""The bus protocol: frame header, recovery messages, health, and the base class of all tagged messages."""

from enum import IntEnum
from typing import Final, TypeAlias

from msgspec import Struct

from components.contracts.values import StreamOffset

SCHEMA_VERSION: Final = 2
"""Version of the messages on the bus; it rises when an old reader could misread a new message."""
SCHEMA_VERSIONS_READ: Final = frozenset({SCHEMA_VERSION})
"""Versions that this release reads. Version 1 is not among them, because its messages have other tags."""


class Message(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """Base of every tagged message on the bus and in the journals: an immutable array with the tag in front.

    A subclass names its tag (`class Quote(Message, frozen=True, tag="Quote")`). A tag is never changed, fields are only
    added at the end and with a default: every journal that a released version wrote must stay readable.
    """


class FrameKind(IntEnum):
    """The kind of a frame on a stream."""

    MESSAGE = 0
    HEARTBEAT = 1


class Header(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """The header of a frame: producer, position in the stream, and timestamps (wall clock, ns).

    `event_at_ns` is the venue's timestamp, `received_at_ns` the time when the cause of this message was received; both
    are 0 if there is none. A heartbeat carries the sequence of the last message before it. `run` is new at every start
    of the producer, so that records published before a subscriber was connected are not counted as lost.
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
    """Request the current state of a state stream and its offset."""

    stream: str


class ReplayRequest(Message, frozen=True, tag="ReplayRequest"):
    """Request the records of an event stream from `from_sequence` on. The reply is bounded; request again for more."""

    stream: str
    from_sequence: int


class SubscriberProgress(Message, frozen=True, tag="SubscriberProgress"):
    """How far a subscriber has received a stream; there is no reply."""

    subscriber: str
    offset: StreamOffset


RecoveryRequest: TypeAlias = SnapshotRequest | ReplayRequest | SubscriberProgress


class RecoveryBatch(Message, frozen=True, tag="RecoveryBatch"):
    """Messages of a stream up to `offset`, each with its sequence (0 in a snapshot). `complete` if none follow."""

    offset: StreamOffset
    messages: tuple[tuple[int, bytes], ...]
    complete: bool


class RecoveryUnavailable(Message, frozen=True, tag="RecoveryUnavailable"):
    """The stream cannot be served, and why."""

    stream: str
    reason: str


RecoveryReply: TypeAlias = RecoveryBatch | RecoveryUnavailable


class ComponentHealth(Message, frozen=True, tag="ComponentHealth"):
    """The liveness of a component: its unmet readiness conditions, and how far it has received each stream."""

    component: str
    version: str
    unmet: tuple[str, ...]
    offsets: tuple[StreamOffset, ...]
    at_ns: int

    @property
    def is_ready(self) -> bool:
        """Return whether all readiness conditions are met."""
        return not self.unmet


HealthMessage: TypeAlias = ComponentHealth
