"""Entries that arrive during a sync share the next one, and none is acknowledged before it is durable."""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest

from components.contracts.errors import InvariantError, StorageError
from components.runtime.journal.format import PAYLOAD_BYTES_MAX
from components.runtime.journal.group_commit import FRAME_BYTES_TARGET, GroupCommitter
from components.runtime.journal.reader import read_records
from tests.support.journals import FOLDER, NOW_NS, open_journal, payloads
from tests.support.simulated_disk import SimulatedDisk

WITHIN_S = 5.0


class SlowDisk(SimulatedDisk):
    """A disk whose syncs wait for the test."""

    def __init__(self) -> None:
        super().__init__()
        self.sync_began, self.sync_may_end = Event(), Event()

    def hold_syncs(self) -> None:
        self.before_sync = self._wait

    def _wait(self) -> None:
        self.sync_began.set()
        assert self.sync_may_end.wait(WITHIN_S)


@contextmanager
def committing(disk: SimulatedDisk, queue_max: int = 100) -> Iterator[GroupCommitter]:
    committer = GroupCommitter(open_journal(disk=disk), queue_max=queue_max)
    yield committer
    committer.close(WITHIN_S)


def is_notified(committer: GroupCommitter, within_s: float = WITHIN_S) -> bool:
    return bool(select.select([committer], [], [], within_s)[0])


def wait_until_synced(committer: GroupCommitter, sequence: int) -> None:
    while committer.durable_sequence < sequence and committer.failure is None:
        assert is_notified(committer)
        committer.clear_notification()


def test_a_submitted_entry_becomes_durable_and_the_loop_is_notified() -> None:
    disk = SimulatedDisk()
    with committing(disk) as committer:
        assert committer.submit(NOW_NS, b"one") == 1
        assert is_notified(committer)
        committer.clear_notification()
        assert committer.durable_sequence == 1
        assert not is_notified(committer, within_s=0)
    assert payloads(read_records(FOLDER, disk=disk)) == [b"one"]


def test_clearing_no_notification_does_not_block() -> None:
    with committing(SimulatedDisk()) as committer:
        committer.clear_notification()
        assert committer.durable_sequence == 0


def test_entries_submitted_during_a_sync_share_the_next_frame() -> None:
    disk = SlowDisk()
    with committing(disk) as committer:
        disk.hold_syncs()
        syncs = disk.syncs
        committer.submit(NOW_NS, b"first")
        assert disk.sync_began.wait(WITHIN_S)
        assert [committer.submit(NOW_NS, b"later") for _ in range(50)] == list(range(2, 52))
        assert committer.durable_sequence == 0
        assert not is_notified(committer, within_s=0)
        disk.sync_may_end.set()
        wait_until_synced(committer, 51)
        assert disk.syncs - syncs == 2


def test_a_queue_beyond_its_bound_is_a_failed_disk() -> None:
    disk = SlowDisk()
    with committing(disk, queue_max=3) as committer:
        disk.hold_syncs()
        for _ in range(3):
            committer.submit(NOW_NS, b"fits")
        with pytest.raises(StorageError, match="3 entries wait for the disk"):
            committer.submit(NOW_NS, b"does not")
        disk.sync_may_end.set()


def test_after_a_failed_sync_nothing_is_acknowledged_and_nothing_accepted() -> None:
    disk = SimulatedDisk()
    committer = GroupCommitter(open_journal(disk=disk))
    disk.sync_fails_at = disk.syncs + 1
    committer.submit(NOW_NS, b"lost")
    assert is_notified(committer)
    committer.clear_notification()
    assert committer.durable_sequence == 0
    assert "Input/output error" in str(committer.failure)
    with pytest.raises(StorageError, match="Input/output error"):
        committer.submit(NOW_NS, b"too late")
    with pytest.raises(StorageError, match="Input/output error"):
        committer.close(WITHIN_S)
    assert disk.syncs == disk.sync_fails_at


def test_closing_makes_everything_durable_first() -> None:
    disk = SimulatedDisk()
    with committing(disk) as committer:
        for _ in range(20):
            committer.submit(NOW_NS, b"entry")
    committer.close(WITHIN_S)
    assert len(list(read_records(FOLDER, disk=disk))) == 20
    with pytest.raises(InvariantError, match="closed"):
        committer.submit(NOW_NS, b"too late")


def test_closing_waits_for_a_hanging_disk_no_longer_than_its_bound() -> None:
    disk = SlowDisk()
    with committing(disk) as committer:
        disk.hold_syncs()
        committer.submit(NOW_NS, b"hangs")
        with pytest.raises(StorageError, match="1 entries were not synced within 0 s"):
            committer.close(0)
        disk.sync_may_end.set()


def test_a_backlog_is_written_in_bounded_frames() -> None:
    disk = SlowDisk()
    with committing(disk) as committer:
        disk.hold_syncs()
        syncs = disk.syncs
        committer.submit(NOW_NS, b"first")
        assert disk.sync_began.wait(WITHIN_S)
        for _ in range(10):
            committer.submit(NOW_NS, b"x" * (FRAME_BYTES_TARGET // 4))
        disk.sync_may_end.set()
        wait_until_synced(committer, 11)
        assert disk.syncs - syncs == 4


def test_an_oversized_entry_is_refused_where_it_is_submitted() -> None:
    with (
        committing(SimulatedDisk()) as committer,
        pytest.raises(InvariantError, match="at most"),
    ):
        committer.submit(NOW_NS, b"x" * (PAYLOAD_BYTES_MAX + 1))


def test_a_journal_in_memory_is_written_in_the_calling_thread() -> None:
    disk = SimulatedDisk(in_memory=True)
    with committing(disk) as committer:
        syncs = disk.syncs
        committer.submit(NOW_NS, b"one")
        committer.submit(NOW_NS, b"two")
        assert committer.durable_sequence == 0
        assert committer.flush_inline()
        assert committer.durable_sequence == 2
        assert disk.syncs - syncs == 1


def test_a_journal_on_disk_is_not_flushed_inline() -> None:
    with committing(SimulatedDisk()) as committer:
        assert not committer.flush_inline()


def test_a_failure_in_the_calling_thread_is_raised_and_kept() -> None:
    disk = SimulatedDisk(in_memory=True)
    committer = GroupCommitter(open_journal(disk=disk))
    disk.bytes_max = 0
    committer.submit(NOW_NS, b"lost")
    with pytest.raises(StorageError, match="No space left on device"):
        committer.flush_inline()
    assert "No space left on device" in str(committer.failure)
    with pytest.raises(StorageError, match="No space left on device"):
        committer.close(WITHIN_S)


class BuggyDisk(SimulatedDisk):
    """A disk that raises another exception than StorageError."""

    def break_down(self) -> None:
        self.before_sync = self._break

    def _break(self) -> None:
        raise ZeroDivisionError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_of_a_bug_is_reported() -> None:
    disk = BuggyDisk()
    committer = GroupCommitter(open_journal(disk=disk))
    disk.break_down()
    committer.submit(NOW_NS, b"lost")
    assert is_notified(committer)
    assert "the sync thread died" in str(committer.failure)
    with pytest.raises(StorageError, match="the sync thread died"):
        committer.close(WITHIN_S)
