"""The gain of writing many records per sync, and the cost of one record."""

import select
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter_ns

from components.runtime.filesystem import REAL_DISK
from components.runtime.journal.format import Entry, pack_frame
from components.runtime.journal.group_commit import GroupCommitter
from components.runtime.journal.journal import Journal
from components.runtime.journal.reader import verify_journal

Row = dict[str, object]
PAYLOAD = bytes(range(200))
GROUP = 32
ROUNDS = 8
WRITES_A_ROUND = 100
SUBMITTED = 50_000


def rows() -> list[Row]:
    """Measure on the project's own disk; a memory file system is skipped, because its syncs cost nothing."""
    with _folder() as folder:
        one_us, many_us = _paired_writes(folder / "paired")
        return [
            _grouping(one_us, many_us),
            _plain("journal: append + sync, p50", median(one_us), "us"),
            _plain(f"journal: append + sync of {GROUP}, p50", median(many_us), "us"),
            _plain("journal: encode, chain, checksum of a 200 B record", _encoding_us(), "us"),
            *_committing(folder / "committed"),
        ]


def _grouping(one_us: list[float], many_us: list[float]) -> Row:
    one_a_s, many_a_s = (count * len(us) / sum(us) * 1e6 for count, us in ((1, one_us), (GROUP, many_us)))
    ratio = many_a_s / one_a_s
    name = f"journal: entries/s, {GROUP} a frame against 1 a frame"
    row = _plain(name, many_a_s, "entries/s")
    return row | {"reference": one_a_s, "ratio": ratio, "bound": ">= 10", "holds": ratio >= 10}


def _plain(name: str, value: float, unit: str) -> Row:
    return {
        "name": name, "value": value, "unit": unit, "reference": None, "ratio": None, "bound": None, "holds": True
    }  # fmt: skip


@contextmanager
def _folder() -> Iterator[Path]:
    var = Path(__file__).parents[1] / "var"
    var.mkdir(exist_ok=True)
    places = [var, Path(tempfile.gettempdir()), Path("/var/tmp")]  # noqa: S108  (FHS: outlives a restart, so a disk)
    on_disk = next((place for place in places if not REAL_DISK.is_in_memory(place)), var)
    folder = Path(tempfile.mkdtemp(prefix="bench-journal-", dir=on_disk))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _open(folder: Path) -> Journal:
    return Journal.open(folder, owner="bench", account="bench", now_ns=perf_counter_ns())


def _paired_writes(folder: Path) -> tuple[list[float], list[float]]:
    """Measure in turn, so that a noisy disk affects both."""
    journal = _open(folder)
    one_us: list[float] = []
    many_us: list[float] = []
    for _ in range(ROUNDS):
        one_us += [_write_us(journal, [(0, PAYLOAD)]) for _ in range(WRITES_A_ROUND)]
        many_us += [_write_us(journal, [(0, PAYLOAD)] * GROUP) for _ in range(WRITES_A_ROUND)]
    journal.close()
    return one_us, many_us


def _write_us(journal: Journal, entries: list[Entry]) -> float:
    began_ns = perf_counter_ns()
    journal.write(entries)
    return (perf_counter_ns() - began_ns) / 1e3


def _encoding_us() -> float:
    began_ns = perf_counter_ns()
    for _ in range(20_000):
        pack_frame([(0, PAYLOAD)], first_sequence=1, previous=bytes(32), offset=0)
    return (perf_counter_ns() - began_ns) / 20_000 / 1e3


def _committing(folder: Path) -> list[Row]:
    """Keep the group committer busy from one submitting thread, then verify what it wrote from the first record."""
    journal = _open(folder)
    committer = GroupCommitter(journal)
    began_ns = perf_counter_ns()
    for _ in range(SUBMITTED):
        committer.submit(0, PAYLOAD)
    while committer.durable_sequence < SUBMITTED and committer.failure is None and not committer.flush_inline():
        select.select([committer], [], [])
        committer.clear_notification()
    committed_ns = perf_counter_ns()
    verification = verify_journal(folder)
    verified_ns = perf_counter_ns()
    committer.close(within_s=10)
    journal.close()
    return [
        _plain("journal: entries/s through the sync thread", SUBMITTED * 1e9 / (committed_ns - began_ns), "entries/s"),
        _plain(
            "journal: verified from genesis", verification.records * 1e9 / (verified_ns - committed_ns), "records/s"
        ),
    ]
