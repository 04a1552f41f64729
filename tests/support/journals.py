"""Journals for tests: small, with known content, on any disk."""

from collections.abc import Iterable
from pathlib import Path

from components.runtime.filesystem import REAL_DISK, Disk
from components.runtime.journal.format import Entry, Record
from components.runtime.journal.journal import SEGMENT_BYTES_MAX, Journal

FOLDER = Path("/simulated/risk")
NOW_NS = 1_700_000_000_000_000_000


def open_journal(
    folder: Path = FOLDER, disk: Disk = REAL_DISK, *, account: str = "A-1", segment_bytes_max: int = SEGMENT_BYTES_MAX
) -> Journal:
    return Journal.open(
        folder, owner="risk", account=account, now_ns=NOW_NS, disk=disk, segment_bytes_max=segment_bytes_max
    )


def entries(*payloads: bytes, at_ns: int = NOW_NS) -> list[Entry]:
    return [(at_ns + number, payload) for number, payload in enumerate(payloads)]


def payloads(records: Iterable[Record]) -> list[bytes]:
    return [record.payload for record in records]
