"""Whether a frame follows the one before it."""

from hypothesis import given
from hypothesis import strategies as st

from components.contracts.frames import SCHEMA_VERSION, FrameKind, Header
from components.runtime.continuity import Duplicate, InOrder, NewEpoch, SequenceGap, check_continuity, sequence_before

SEQUENCES = st.integers(min_value=1, max_value=1 << 40)


def frame(sequence: int, kind: FrameKind = FrameKind.MESSAGE, epoch: str = "e") -> Header:
    return Header(SCHEMA_VERSION, kind, "market_data", epoch, sequence, 0, 0, 0)


def test_the_next_message_is_in_order() -> None:
    assert check_continuity(frame(8), "e", 7) == InOrder()


def test_a_message_heard_before_is_a_repeat() -> None:
    assert check_continuity(frame(7), "e", 7) == Duplicate()


def test_a_message_too_far_ahead_says_how_many_are_missing() -> None:
    assert check_continuity(frame(11), "e", 7) == SequenceGap(3)


def test_a_heartbeat_at_our_place_is_in_order() -> None:
    assert check_continuity(frame(7, FrameKind.HEARTBEAT), "e", 7) == InOrder()


def test_a_heartbeat_with_a_later_place_reveals_a_lost_tail() -> None:
    assert check_continuity(frame(9, FrameKind.HEARTBEAT), "e", 7) == SequenceGap(2)


def test_another_epoch_is_told_apart_whatever_its_sequence() -> None:
    assert check_continuity(frame(8, epoch="f"), "e", 7) == NewEpoch()


@given(first=SEQUENCES, lost=st.integers(min_value=0, max_value=1000), kind=st.sampled_from(FrameKind))
def test_a_gap_counts_exactly_what_was_lost(first: int, lost: int, kind: FrameKind) -> None:
    arrived = frame(first + lost + (kind is FrameKind.MESSAGE), kind)
    assert check_continuity(arrived, "e", first) == (SequenceGap(lost) if lost else InOrder())
    assert sequence_before(arrived) == first + lost
