"""What the simulated disk may lose, and what it must keep."""

from pathlib import Path
from random import Random

import pytest

from components.contracts.errors import StorageError
from components.xtrader.simulation.scheduler import NO_FAULTS, FaultRates, Randomness
from components.xtrader.simulation.storage import SECTOR_BYTES, SimulatedDisk

FOLDER = Path("/folder")
FILE = FOLDER / "file"


def disk_of(odds: FaultRates = NO_FAULTS, seed: int = 1) -> SimulatedDisk:
    return SimulatedDisk(Randomness(Random(seed), odds), lambda _: None)


def content(disk: SimulatedDisk) -> bytes:
    file = disk.open(FILE, writable=False)
    return disk.read(file, 0, disk.size(file))


def test_synced_data_survive_a_power_cut_and_other_data_may_not() -> None:
    lengths = set()
    for seed in range(20):
        disk = disk_of(seed=seed)
        file = disk.create(FILE)
        disk.write(file, 0, b"a" * 2 * SECTOR_BYTES)
        disk.fdatasync(file)
        disk.sync_folder(FOLDER)
        disk.write(file, 2 * SECTOR_BYTES, b"b" * 2 * SECTOR_BYTES)
        disk.lose_power()
        assert content(disk)[: 2 * SECTOR_BYTES] == b"a" * 2 * SECTOR_BYTES
        lengths.add(content(disk).count(b"b"))
    assert {0, SECTOR_BYTES, 2 * SECTOR_BYTES} <= lengths


def test_a_file_name_that_was_not_synced_may_be_lost() -> None:
    kept = set()
    for seed in range(20):
        disk = disk_of(seed=seed)
        disk.fdatasync(disk.create(FILE))
        disk.lose_power()
        kept.add(bool(disk.names(FOLDER)))
    assert kept == {True, False}


def test_a_failed_sync_leaves_sectors_that_look_clean() -> None:
    disk = disk_of(FaultRates(sync_failure=1))
    file = disk.create(FILE)
    disk.sync_folder(FOLDER)
    disk.write(file, 0, b"a")
    with pytest.raises(StorageError):
        disk.fdatasync(file)
    assert content(disk) == b"a"
    disk.lose_power()
    assert content(disk) in (b"", b"\0")


def test_a_kill_loses_nothing_that_was_written() -> None:
    disk = disk_of()
    disk.write(disk.create(FILE), 0, b"a")
    disk.on_process_exit()
    assert content(disk) == b"a"
