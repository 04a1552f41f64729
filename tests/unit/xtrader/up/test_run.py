"""`down` asks the `up` that holds the lock, waits within its bound, and says so where there is none."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.contracts.errors import PeerUnreachable
from components.runtime.clock import SystemClock
from components.runtime.filesystem import REAL_DISK, OpenFile, lock_holder
from components.runtime.paths import Paths
from components.xtrader.up.run import stop_running_up
from tests.support.order_records import paths_at


@pytest.fixture
def places(tmp_path: Path) -> Paths:
    made = paths_at(tmp_path)
    made.create_run_dir()
    return made


@pytest.fixture
def asked() -> Iterator[list[int]]:
    """Hear the signal in our own process, which plays `up`."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


def lock(places: Paths) -> OpenFile:
    return REAL_DISK.lock(places.lock("up"))


def test_nothing_to_stop_is_a_peer_that_is_not_there(places: Paths) -> None:
    with pytest.raises(PeerUnreachable, match="nothing to stop"):
        stop_running_up(places, SystemClock(), lambda _: None, 1.0)


def test_the_holder_is_asked_and_waited_for(places: Paths, asked: list[int]) -> None:
    held = lock(places)
    assert stop_running_up(places, SystemClock(), lambda _: REAL_DISK.close(held), 5.0) == (os.getpid(), True)
    assert asked == [signal.SIGTERM]


def test_one_that_does_not_stop_in_time_is_told(places: Paths, asked: list[int]) -> None:
    held = lock(places)
    assert stop_running_up(places, SystemClock(), lambda _: None, 0.0) == (os.getpid(), False)
    REAL_DISK.close(held)


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
