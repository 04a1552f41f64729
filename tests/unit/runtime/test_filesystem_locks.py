"""The holder of a lock is found without taking the lock."""

import os
from pathlib import Path

import pytest

from components.contracts.errors import PeerUnreachable
from components.runtime.filesystem import REAL_DISK, OpenFile, lock_holder
from components.runtime.paths import Paths
from tests.support.order_records import paths_at


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = paths_at(tmp_path)
    made.create_run_dir()
    return made


def lock(paths: Paths) -> OpenFile:
    return REAL_DISK.lock(paths.lock("up"))


def test_reading_the_holder_does_not_take_the_lock(paths: Paths) -> None:
    assert lock_holder(paths.lock("up")) is None
    held = lock(paths)
    assert lock_holder(paths.lock("up")) == os.getpid()
    REAL_DISK.close(held)
    assert lock_holder(paths.lock("up")) is None
    REAL_DISK.close(lock(paths))


def test_a_lock_without_a_pid_yet_is_an_error_and_never_pid_zero(paths: Paths) -> None:
    held = lock(paths)
    paths.lock("up").write_bytes(b"")
    with pytest.raises(PeerUnreachable, match="try again"):
        lock_holder(paths.lock("up"))
    REAL_DISK.close(held)
