"""A crash at any call loses nothing that was acknowledged, and these tests would notice a loss."""

from collections.abc import Callable
from itertools import count
from random import Random

import pytest

from components.contracts.errors import CorruptData, StorageError
from components.runtime.journal.reader import read_records, segment_name, verify_journal
from tests.support.journals import FOLDER, entries, open_journal, payloads
from tests.support.simulated_disk import Crashed, SimulatedDisk

FRAMES = [[b"%d" % number * size for number in range(3)] for size in (1, 400, 7, 900, 30, 1)]


ALL = [payload for frame in FRAMES for payload in frame]


SEGMENT_BYTES_MAX = 2500


def work(disk: SimulatedDisk) -> list[bytes]:
    """Write every frame that is not in the journal yet. Return the payloads that were acknowledged before a crash."""
    acknowledged: list[bytes] = []
    try:
        journal = open_journal(disk=disk, segment_bytes_max=SEGMENT_BYTES_MAX)
        acknowledged.extend(payloads(journal.records()))
        for frame in FRAMES[len(acknowledged) // 3 :]:
            journal.write(entries(*frame))
            acknowledged.extend(frame)
    except Crashed:
        disk.crash_at = 0
    return acknowledged


def found_after(disk: SimulatedDisk) -> list[bytes]:
    found = payloads(open_journal(disk=disk, segment_bytes_max=SEGMENT_BYTES_MAX).records())
    assert found == ALL[: len(found)]
    assert verify_journal(FOLDER, disk=disk).ok
    return found


def a_crash_loses(disk: SimulatedDisk, random: Random) -> bool:
    """Crash, recover with a second crash in between, and return whether anything acknowledged is lost."""
    acknowledged = work(disk)
    second = disk.crash(random)
    second.crash_at = random.randint(1, 12)
    try:
        again = work(second)
        found = found_after(second.crash(random))
    except CorruptData:
        return True
    return found[: len(acknowledged)] != acknowledged or found[: len(again)] != again


def violations(make_disk: Callable[[int], SimulatedDisk], seed: int) -> int:
    """Crash at every call until a run completes without a crash, and return the number of losses."""
    random, lost = Random(seed), 0
    for crash_at in count(1):
        disk = make_disk(crash_at)
        lost += a_crash_loses(disk, random)
        if disk.crash_at:
            return lost
    raise AssertionError


@pytest.mark.parametrize("seed", range(20))
def test_a_crash_at_any_call_loses_nothing_acknowledged(seed: int) -> None:
    assert violations(lambda crash_at: SimulatedDisk(crash_at=crash_at), seed) == 0


def test_the_crash_tests_notice_a_missing_sync() -> None:
    assert violations(lambda crash_at: SimulatedDisk(crash_at=crash_at, keeps_syncs=False), 1) > 10


def test_the_crash_tests_notice_a_missing_folder_sync() -> None:
    assert violations(lambda crash_at: SimulatedDisk(crash_at=crash_at, keeps_names=False), 1) > 10


def test_a_frame_whose_sync_failed_is_made_durable_before_a_restart_acts_on_it() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    disk.sync_fails_at = disk.syncs + 1
    with pytest.raises(StorageError):
        journal.write(entries(b"in the page cache only"))
    journal.close()
    restarted = open_journal(disk=disk)
    assert payloads(restarted.records()) == [b"in the page cache only"]
    assert payloads(open_journal(disk=disk.crash(Random(1))).records()) == [b"in the page cache only"]


def test_a_torn_tail_is_kept_beside_the_log_and_counted() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    journal.write(entries(b"whole"))
    journal.write(entries(b"torn"))
    journal.close()
    (segment,) = (path for path in disk.named if path.suffix == ".log")
    content = disk.named[segment]
    torn = content.seen[-70:-3]
    content.seen = content.seen[:-3]
    again = open_journal(disk=disk)
    assert again.truncated is not None
    assert disk.named[again.truncated.kept_as].synced.endswith(torn)
    assert again.truncated.bytes_cut == len(disk.named[again.truncated.kept_as].synced)
    assert payloads(again.records()) == [b"whole"]


def test_a_second_torn_tail_at_the_same_place_does_not_replace_the_first() -> None:
    disk, kept = SimulatedDisk(), set()
    open_journal(disk=disk).close()
    (segment,) = (path for path in disk.named if path.suffix == ".log")
    for _ in range(2):
        disk.named[segment].seen += b"torn"
        journal = open_journal(disk=disk)
        assert journal.truncated is not None
        kept.add(journal.truncated.kept_as)
        journal.close()
    assert len(kept) == 2


def test_a_torn_header_of_a_new_segment_is_set_aside() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk, segment_bytes_max=1)
    journal.write(entries(b"one"))
    journal.write(entries(b"two"))
    journal.close()
    last = max(path for path in disk.named if path.suffix == ".log")
    disk.named[last].seen = disk.named[last].seen[:40]
    again = open_journal(disk=disk, segment_bytes_max=1)
    assert again.truncated is not None
    assert again.truncated.bytes_cut == 40
    again.write(entries(b"two again"))
    assert payloads(again.records()) == [b"one", b"two again"]
    assert verify_journal(FOLDER, disk=disk).ok


def test_a_segment_that_was_only_created_is_no_problem_for_a_reader() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk, segment_bytes_max=1)
    journal.write(entries(b"one"))
    disk.create(FOLDER / segment_name(2))
    assert verify_journal(FOLDER, disk=disk).ok
    assert payloads(read_records(FOLDER, disk=disk)) == [b"one"]
