"""The log on real files: one process at a time, private, and safe to read while it grows."""

import signal
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from components.contracts.errors import ResourceBusy, StorageError
from components.runtime.filesystem import REAL_DISK
from components.runtime.journal.group_commit import GroupCommitter
from components.runtime.journal.reader import read_records, verify_journal
from tests.support.journals import NOW_NS, entries, open_journal, payloads
from tests.support.machine import scaled

pytestmark = pytest.mark.integration

HOLD = """
import sys
from pathlib import Path
from tests.support.journals import entries, open_journal
journal = open_journal(Path(sys.argv[1]))
journal.write(entries(b"held"))
print("open", flush=True)
sys.stdin.read()
"""

FILL = """
import resource, sys
from pathlib import Path
from components.contracts.errors import StorageError
from tests.support.journals import entries, open_journal
journal = open_journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    while True:
        journal.write(entries(b"x" * 300))
        print(journal.last_sequence, flush=True)
except StorageError as failed:
    print(failed, file=sys.stderr)
    try:
        journal.write(entries(b"y"))
    except StorageError:
        sys.exit(74)
"""


def run(script: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_a_second_process_reports_the_pid_of_the_first(tmp_path: Path) -> None:
    with run(HOLD, tmp_path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(ResourceBusy, match=f"held by process {holder.pid}"):
            open_journal(tmp_path)
        holder.send_signal(signal.SIGKILL)
    assert payloads(open_journal(tmp_path).records()) == [b"held"]


def test_a_full_disk_ends_the_writer_before_it_acknowledges(tmp_path: Path) -> None:
    with run(FILL, tmp_path) as filler:
        acknowledged, complaint = filler.communicate(timeout=scaled(20))
    assert filler.returncode == 74
    assert str(tmp_path) in complaint
    journal = open_journal(tmp_path)
    assert journal.last_sequence == int(acknowledged.split()[-1])
    assert journal.truncated is not None


def test_files_and_folders_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "dev" / "A-1" / "risk"
    journal = open_journal(folder, segment_bytes_max=1)
    journal.write(entries(b"one"))
    journal.write(entries(b"two"))
    modes = {stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()}
    assert modes == {0o600}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (folder, *folder.parents[:2])} == {0o700}


def test_a_journal_knows_whether_it_is_in_memory(tmp_path: Path) -> None:
    on_disk = REAL_DISK.is_in_memory(tmp_path)
    assert open_journal(tmp_path / "risk").in_memory == on_disk
    assert not REAL_DISK.is_in_memory(Path("/proc"))


def test_an_error_of_the_operating_system_is_translated_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"open {tmp_path}/gone: No such file"):
        REAL_DISK.open(tmp_path / "gone", writable=False)


def test_a_reader_beside_a_live_writer_sees_a_growing_prefix(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, segment_bytes_max=20_000)
    done: list[bool] = []

    def write() -> None:
        for number in range(400):
            journal.write(entries(b"%d" % number, b"x" * (number * 7)))
        done.append(True)

    writer, seen = Thread(target=write), 0
    writer.start()
    while not done:
        found = payloads(read_records(tmp_path))
        assert found[::2] == [b"%d" % number for number in range(len(found[::2]))]
        assert len(found) >= seen
        assert verify_journal(tmp_path).ok
        durable = payloads(journal.records(seen + 1))
        assert durable == payloads(read_records(tmp_path, seen + 1))[: len(durable)]
        seen = len(found)
    writer.join()
    assert len(payloads(read_records(tmp_path))) == 800


def test_a_committer_on_a_real_disk_keeps_all_it_synced(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    committer = GroupCommitter(journal)
    for number in range(1000):
        committer.submit(NOW_NS, b"%d" % number)
        committer.flush_inline()
    committer.close(10)
    journal.close()
    assert payloads(read_records(tmp_path)) == [b"%d" % number for number in range(1000)]
    assert verify_journal(tmp_path).head_hash == open_journal(tmp_path).head.hex()


def test_no_descriptor_outlives_its_journal(tmp_path: Path) -> None:
    before = descriptors()
    journal = open_journal(tmp_path, segment_bytes_max=1)
    for _ in range(5):
        journal.write(entries(b"entry"))
    committer = GroupCommitter(journal)
    list(read_records(tmp_path, 3))
    next(iter(read_records(tmp_path)))
    committer.close(10)
    journal.close()
    assert descriptors() == before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
