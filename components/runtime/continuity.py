"""Whether a frame follows the one before it, told from the places in their headers alone."""

from typing import Final, TypeAlias, final

from msgspec import Struct

from components.contracts.frames import FrameKind, Header


@final
class InOrder(Struct, frozen=True, gc=False):
    """Nothing is missing: the next message, or a heartbeat that knows no later one."""


@final
class Duplicate(Struct, frozen=True, gc=False):
    """Heard before, or a heartbeat from before what was heard."""


@final
class SequenceGap(Struct, frozen=True, gc=False):
    """So many messages before this frame were not heard."""

    missing: int


@final
class NewEpoch(Struct, frozen=True, gc=False):
    """Counting began anew: another start of the producer, or another journal."""


Continuity: TypeAlias = InOrder | Duplicate | SequenceGap | NewEpoch

IN_ORDER: Final = InOrder()
DUPLICATE: Final = Duplicate()
NEW_EPOCH: Final = NewEpoch()


def check_continuity(header: Header, epoch: str, last_sequence: int) -> Continuity:
    """Hold a frame against the last message heard; a heartbeat with a later place reveals a lost tail."""
    if header.epoch != epoch:
        return NEW_EPOCH
    # A heartbeat carries the place of the message before it, so it follows its own place.
    arrived = header.sequence if header.kind is FrameKind.MESSAGE else header.sequence + 1
    expected = last_sequence + 1
    if arrived == expected:
        return IN_ORDER
    return SequenceGap(arrived - expected) if arrived > expected else DUPLICATE


def sequence_before(header: Header) -> int:
    """Give the sequence of the last message before this frame."""
    return header.sequence - 1 if header.kind is FrameKind.MESSAGE else header.sequence
