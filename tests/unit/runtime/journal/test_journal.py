"""The journal keeps its records in order and chained, for one writer and one account."""

import pytest
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.errors import ConfigError, CorruptData, InvariantError, ResourceBusy, StorageError, UsageError
from components.runtime.journal.format import PAYLOAD_BYTES_MAX
from components.runtime.journal.journal import Journal
from components.runtime.journal.reader import read_records, verify_journal
from tests.support.journals import FOLDER, NOW_NS, entries, open_journal, payloads
from tests.support.simulated_disk import SimulatedDisk

GOLDEN = (
    "5854524c4f470d0a256245a2590002000000000000000000000000000000000100002a36fe9c97170100000000000000c83f"
    "428a62d332e2c83cb5e7f4fc8c2f2231f7ce39ad31c399bf750be4b30b7404037269736b412d31f7584696fde7af72020002"
    "0000006e0000005900000000000000010000000000000006000000010000000000000000002a36fe9c9717c83f428a62d332"
    "e2c83cb5e7f4fc8c2f2231f7ce39ad31c399bf750be4b30b74676f6c64656e00000000020000000000000001002a36fe9c97"
    "17ea140e7dd08a798aafc443e71b9d5383cd5daafc5b2badf4f49ef72705df0528"
)


FRAMES = st.lists(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.binary(max_size=60)), min_size=1, max_size=4), max_size=6
)


@given(frames=FRAMES, segment_bytes_max=st.sampled_from([1, 300, 1 << 20]))
def test_written_records_are_returned_by_every_reader(
    frames: list[list[tuple[int, bytes]]], segment_bytes_max: int
) -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk, segment_bytes_max=segment_bytes_max)
    for frame in frames:
        journal.write(frame)
    journal.close()
    again = open_journal(disk=disk, segment_bytes_max=segment_bytes_max)
    written = [(sequence, *entry) for sequence, entry in enumerate((one for frame in frames for one in frame), 1)]
    assert [(one.sequence, one.at_ns, one.payload) for one in again.records()] == written
    assert [(one.sequence, one.at_ns, one.payload) for one in read_records(FOLDER, disk=disk)] == written
    assert (again.last_sequence, again.head) == (journal.last_sequence, journal.head)
    assert again.truncated is None
    verified = verify_journal(FOLDER, disk=disk)
    assert (verified.ok, verified.records, verified.head_hash) == (True, len(written), journal.head.hex())


@given(first=st.integers(-1, 45), segment_bytes_max=st.sampled_from([300, 1 << 20]))
def test_reading_may_begin_at_any_record(first: int, segment_bytes_max: int) -> None:
    journal, disk = journal_of_forty(segment_bytes_max)
    wanted = [b"%d" % number for number in range(max(first, 1), 41)]
    assert payloads(journal.records(first)) == wanted
    assert payloads(read_records(FOLDER, first, disk=disk)) == wanted


def journal_of_forty(segment_bytes_max: int, random_count: int = 0) -> tuple[Journal, SimulatedDisk]:
    disk = SimulatedDisk(random_count=random_count)
    journal = open_journal(disk=disk, segment_bytes_max=segment_bytes_max)
    for number in range(1, 41, 2):
        journal.write(entries(b"%d" % number, b"%d" % (number + 1)))
    return journal, disk


def test_the_digest_of_a_record_is_the_head_after_it() -> None:
    journal = open_journal(disk=SimulatedDisk())
    genesis = journal.head
    journal.write(entries(b"one", b"two"))
    digests = [record.digest for record in journal.records()]
    assert digests[-1] == journal.head
    assert len({genesis, *digests}) == 3


def test_a_reopened_journal_goes_on_where_it_ended() -> None:
    disk = SimulatedDisk()
    first = open_journal(disk=disk)
    first.write(entries(b"one"))
    first.close()
    second = open_journal(disk=disk)
    second.write(entries(b"two"))
    assert second.journal_id == first.journal_id
    assert payloads(second.records()) == [b"one", b"two"]
    assert verify_journal(FOLDER, disk=disk).ok


def test_two_journals_never_share_an_id_or_a_chain() -> None:
    disk = SimulatedDisk()
    risk = open_journal(FOLDER, disk)
    other = open_journal(FOLDER.with_name("execution"), disk)
    assert risk.journal_id != other.journal_id
    assert risk.head != other.head


def test_an_empty_write_writes_nothing() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    calls = disk.calls
    journal.write([])
    assert (disk.calls, journal.last_sequence) == (calls, 0)


def test_one_write_is_one_frame_and_one_sync() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    syncs = disk.syncs
    journal.write(entries(*[b"entry"] * 32))
    assert disk.syncs - syncs == 1


def test_a_second_writer_is_rejected_with_the_holder() -> None:
    disk = SimulatedDisk()
    open_journal(disk=disk)
    with pytest.raises(ResourceBusy, match="held by process 1"):
        open_journal(disk=disk)


def test_another_account_is_refused_and_lets_go_of_the_lock() -> None:
    disk = SimulatedDisk()
    open_journal(disk=disk, account="A-1").close()
    with pytest.raises(ConfigError, match=r"A-1.*A-2"):
        open_journal(disk=disk, account="A-2")
    assert open_journal(disk=disk, account="A-1").last_sequence == 0


@pytest.mark.parametrize("account", ["", "x" * 256])
def test_a_name_that_does_not_fit_the_header_is_refused(account: str) -> None:
    with pytest.raises(ConfigError, match="1 to 255 bytes"):
        open_journal(disk=SimulatedDisk(), account=account)


def test_an_entry_beyond_the_bound_is_a_bug_and_harms_nothing() -> None:
    journal = open_journal(disk=SimulatedDisk())
    with pytest.raises(InvariantError, match="longer than"):
        journal.write(entries(b"x" * (PAYLOAD_BYTES_MAX + 1)))
    journal.write(entries(b"fine"))
    assert payloads(journal.records()) == [b"fine"]


def test_a_full_disk_fails_for_good_and_acknowledges_nothing() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    journal.write(entries(b"kept"))
    disk.bytes_max = 200
    with pytest.raises(StorageError, match="No space left on device"):
        journal.write(entries(b"lost" * 100))
    disk.bytes_max = None
    with pytest.raises(StorageError, match="No space left on device"):
        journal.write(entries(b"too late"))
    assert payloads(journal.records()) == [b"kept"]


def test_a_failed_sync_is_never_tried_again() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    disk.sync_fails_at = disk.syncs + 1
    with pytest.raises(StorageError, match="Input/output error"):
        journal.write(entries(b"lost"))
    calls, syncs = disk.calls, disk.syncs
    with pytest.raises(StorageError, match="Input/output error"):
        journal.write(entries(b"too late"))
    assert (disk.calls, disk.syncs, journal.last_sequence) == (calls, syncs, 0)


def test_verifying_what_is_not_there_is_a_usage_error_that_names_the_path() -> None:
    with pytest.raises(UsageError, match="/simulated/risk holds no journal"):
        verify_journal(FOLDER, disk=SimulatedDisk())
    with pytest.raises(UsageError, match="/simulated/risk holds no journal"):
        read_records(FOLDER, disk=SimulatedDisk())


def test_a_missing_segment_is_named_by_its_record() -> None:
    _, disk = journal_of_forty(300)
    segments = sorted(path for path in disk.named if path.suffix == ".log")
    del disk.named[segments[1]]
    problem = verify_journal(FOLDER, disk=disk).problem
    assert problem is not None
    assert f"record {int(segments[1].stem)} is missing" in problem


def test_a_missing_first_segment_is_damage_not_a_shorter_journal() -> None:
    _, disk = journal_of_forty(300)
    del disk.named[min(path for path in disk.named if path.suffix == ".log")]
    with pytest.raises(CorruptData, match="record 1 is missing"):
        open_journal(disk=SimulatedDisk(named=disk.named))


def test_a_segment_of_another_journal_is_refused() -> None:
    _, disk = journal_of_forty(300)
    _, foreign_disk = journal_of_forty(300, random_count=7)
    swapped = sorted(path for path in disk.named if path.suffix == ".log")[1]
    disk.named[swapped] = foreign_disk.named[swapped]
    problem = verify_journal(FOLDER, disk=disk).problem
    assert problem is not None
    assert f"record {int(swapped.stem)} is from another journal" in problem


def test_a_payload_that_holds_a_whole_frame_is_not_taken_for_one() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    journal.write(entries(b"first"))
    journal.write(entries(b"second"))
    (content,) = (one for path, one in disk.named.items() if path.suffix == ".log")
    journal.write(entries(b"before" + content.seen + b"after"))
    journal.close()
    content.seen = content.seen[:-1]
    again = open_journal(disk=disk)
    assert again.truncated is not None
    assert payloads(again.records()) == [b"first", b"second"]


def test_times_are_kept_as_given_even_when_the_clock_went_back() -> None:
    journal = open_journal(disk=SimulatedDisk())
    journal.write([(NOW_NS, b"late"), (NOW_NS - 5, b"early")])
    assert [record.at_ns for record in journal.records()] == [NOW_NS, NOW_NS - 5]


def test_a_durable_record_that_vanishes_beneath_the_writer_is_noticed() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    journal.write(entries(b"stays"))
    (content,) = (one for path, one in disk.named.items() if path.suffix == ".log")
    length = len(content.seen)
    journal.write(entries(b"vanishes"))
    content.seen = content.seen[:length]
    with pytest.raises(CorruptData, match="record 2 was durable and is missing"):
        list(journal.records())


def test_a_log_of_another_format_is_refused_and_the_way_out_is_named() -> None:
    disk = SimulatedDisk()
    open_journal(disk=disk).close()
    (content,) = (one for path, one in disk.named.items() if path.suffix == ".log")
    older = content.seen[12:14] + b"\x01\x00" + content.seen[16:]
    content.seen = content.seen[:8] + crc32c(older).to_bytes(4, "little") + older
    with pytest.raises(ConfigError, match=r"\.log: log format 1, this release reads format 2; .*`xtrader up --fresh`"):
        open_journal(disk=disk)


def test_a_record_altered_together_with_its_checksum_breaks_the_chain() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    ends = []
    (content,) = (one for path, one in disk.named.items() if path.suffix == ".log")
    for payload in (b"first", b"second"):
        ends.append(len(content.seen))
        journal.write(entries(payload))
    forged = content.seen[ends[0] + 8 : ends[1] - 1] + b"T"
    content.seen = b"".join(
        [content.seen[: ends[0] + 4], crc32c(forged).to_bytes(4, "little"), forged, content.seen[ends[1] :]]
    )
    problem = verify_journal(FOLDER, disk=disk).problem
    assert problem is not None
    assert "record 2 at offset" in problem
    assert "does not follow from the one before it" in problem


def test_the_bytes_of_format_2_stay_as_they_are() -> None:
    disk = SimulatedDisk()
    journal = open_journal(disk=disk)
    journal.write(entries(b"golden", b""))
    (content,) = (one for path, one in disk.named.items() if path.suffix == ".log")
    assert content.seen.hex() == GOLDEN
