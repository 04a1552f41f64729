"""Every truncation point and flipped byte of a small real log is truncated as a torn tail or refused by record."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from components.contracts.errors import CorruptData
from components.runtime.journal.reader import read_records, verify_journal
from tests.support.journals import entries, open_journal, payloads

pytestmark = pytest.mark.integration

FRAMES = [[b"first"], [b"second", b"third" * 7], [b"fourth", b"", b"sixth"]]
ALL = [payload for frame in FRAMES for payload in frame]


@dataclass
class SmallLog:
    """A log's only segment, and where each frame ends in it (first: the header)."""

    folder: Path
    segment: Path
    content: bytes
    ends: list[int]

    def put(self, content: bytes) -> None:
        for left_over in self.folder.glob("*.log*"):
            left_over.unlink()
        self.segment.write_bytes(content)

    def frame_at(self, offset: int) -> int:
        """Return the number of the frame that holds the byte; -1 for the header."""
        return sum(end <= offset for end in self.ends) - 1

    def before(self, frame: int) -> list[bytes]:
        return [payload for one in FRAMES[: max(frame, 0)] for payload in one]


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    folder = tmp_path / "risk"
    journal = open_journal(folder)
    (segment,) = folder.glob("*.log")
    ends = [segment.stat().st_size]
    for frame in FRAMES:
        journal.write(entries(*frame))
        ends.append(segment.stat().st_size)
    journal.close()
    return SmallLog(folder, segment, segment.read_bytes(), ends)


def assert_cut_to(log: SmallLog, kept: list[bytes]) -> None:
    """Expect that the torn tail is set aside, the rest reads as before, and the journal continues."""
    assert payloads(read_records(log.folder)) == kept
    journal = open_journal(log.folder)
    assert payloads(journal.records()) == kept
    if journal.truncated is not None:
        assert journal.truncated.kept_as.stat().st_size == journal.truncated.bytes_cut
    journal.write(entries(b"goes on"))
    journal.close()
    assert payloads(read_records(log.folder)) == [*kept, b"goes on"]
    assert verify_journal(log.folder).ok


def test_every_truncation_point_is_cut_to_whole_frames(log: SmallLog) -> None:
    for length in range(len(log.content)):
        log.put(log.content[:length])
        at_a_frames_end = length in log.ends
        assert verify_journal(log.folder).ok == at_a_frames_end
        assert_cut_to(log, log.before(log.frame_at(length)))


def flips(content: bytes) -> list[tuple[int, int]]:
    """Every byte inverted, and as many random single bits."""
    random = Random(7)
    bits = [(random.randrange(len(content)), 1 << random.randrange(8)) for _ in content]
    return [(offset, 0xFF) for offset in range(len(content))] + bits


def test_every_flipped_byte_is_cut_as_a_torn_tail_or_refused_by_its_record(log: SmallLog) -> None:
    for offset, bits in flips(log.content):
        changed = bytearray(log.content)
        changed[offset] ^= bits
        log.put(bytes(changed))
        frame = log.frame_at(offset)
        if frame == len(FRAMES) - 1:
            assert "record 4 at offset" in (verify_journal(log.folder).problem or "")
            assert_cut_to(log, log.before(frame))
        else:
            assert_refused(log, frame)


def assert_refused(log: SmallLog, frame: int) -> None:
    """Expect that every reader names the first record of the frame or segment, and changes nothing."""
    before = log.segment.read_bytes()
    damaged = len(log.before(frame)) + 1
    with pytest.raises(CorruptData, match=rf"records? {damaged} ") as refused:
        open_journal(log.folder)
    verified = verify_journal(log.folder)
    assert (verified.ok, verified.problem) == (False, str(refused.value))
    with pytest.raises(CorruptData, match=rf"records? {damaged} "):
        list(read_records(log.folder))
    assert log.segment.read_bytes() == before
    assert str(log.segment) in str(refused.value)
    assert "at offset" in str(refused.value)


def test_damage_in_an_earlier_segment_is_always_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, segment_bytes_max=1)
    for payload in ALL[:3]:
        journal.write(entries(payload))
    journal.close()
    segment = tmp_path / f"{2:020}.log"
    content = segment.read_bytes()
    for offset, bits in flips(content):
        changed = bytearray(content)
        changed[offset] ^= bits
        segment.write_bytes(changed)
        problem = verify_journal(tmp_path).problem
        assert problem is not None
        assert "record 2" in problem
        with pytest.raises(CorruptData):
            open_journal(tmp_path)


def test_an_earlier_segment_cut_anywhere_is_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, segment_bytes_max=1)
    for payload in ALL[:3]:
        journal.write(entries(payload))
    journal.close()
    segment = tmp_path / f"{2:020}.log"
    content = segment.read_bytes()
    for length in range(len(content)):
        segment.write_bytes(content[:length])
        with pytest.raises(CorruptData, match="record 2"):
            open_journal(tmp_path)
