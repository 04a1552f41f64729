"""The simulation itself: what follows from its seed, and what its disk and its network may do to a process."""

from pathlib import Path
from random import Random

import pytest

from components.contracts.errors import StorageError
from components.runtime.metrics import Metrics
from components.xtrader.simulation.run import CrashPlan, SimulationRun
from components.xtrader.simulation.scheduler import NO_FAULTS, FaultRates, Randomness
from components.xtrader.simulation.storage import SECTOR_BYTES, SimulatedDisk

FOLDER = Path("/folder")


FILE = FOLDER / "file"


def disk_of(odds: FaultRates = NO_FAULTS, seed: int = 1) -> SimulatedDisk:
    return SimulatedDisk(Randomness(Random(seed), odds), lambda _: None)


def content(disk: SimulatedDisk) -> bytes:
    file = disk.open(FILE, writable=False)
    return disk.read(file, 0, disk.size(file))


def test_a_run_keeps_every_promise_and_reaches_the_venue() -> None:
    reports = [SimulationRun(seed, CrashPlan(crash_points=10), {}).run() for seed in (1, 2, 3)]
    assert [one.problem for one in reports] == [""] * 3
    assert min(one.crash_points for one in reports) >= 10
    assert sum(one.fills for one in reports) > 0


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    gauges: dict[str, Metrics] = {}
    first, again, other = (SimulationRun(seed, CrashPlan(crash_points=5), gauges).run() for seed in (7, 7, 8))
    assert first == again
    assert first.trace != other.trace


def test_what_was_synced_survives_a_power_cut_and_nothing_else_must() -> None:
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


def test_a_name_that_was_not_synced_may_be_gone() -> None:
    kept = set()
    for seed in range(20):
        disk = disk_of(seed=seed)
        disk.fdatasync(disk.create(FILE))
        disk.lose_power()
        kept.add(bool(disk.names(FOLDER)))
    assert kept == {True, False}


def test_a_failed_sync_leaves_what_looks_clean_and_is_not() -> None:
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
