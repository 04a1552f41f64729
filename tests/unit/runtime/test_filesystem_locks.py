"""The holder of a lock is found without taking the lock."""

import os
from pathlib import Path

import pytest

from components.contracts.errors import PeerUnreachable
from components.runtime.filesystem import REAL_DISK, OpenFile, lock_holder
from components.runtime.paths import Paths
from tests.support.order_records import paths_at


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    made = paths_at(tmp_path)
    made.create_run_dir()
    return made


def lock(places: Paths) -> OpenFile:
    return REAL_DISK.lock(places.lock("up"))


def test_looking_at_a_lock_takes_nothing_from_anybody(places: Paths) -> None:
    assert lock_holder(places.lock("up")) is None
    held = lock(places)
    assert lock_holder(places.lock("up")) == os.getpid()
    REAL_DISK.close(held)
    assert lock_holder(places.lock("up")) is None
    REAL_DISK.close(lock(places))


def test_a_lock_without_a_name_is_asked_again_and_never_everybody(places: Paths) -> None:
    held = lock(places)
    places.lock("up").write_bytes(b"")
    with pytest.raises(PeerUnreachable, match="ask again"):
        lock_holder(places.lock("up"))
    REAL_DISK.close(held)
