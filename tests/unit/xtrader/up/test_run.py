"""`stop_running_up` signals the `up` that holds the lock and waits within its bound."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.contracts.errors import PeerUnreachable
from components.runtime.clock import SystemClock
from components.runtime.filesystem import REAL_DISK, OpenFile
from components.runtime.paths import Paths
from components.xtrader.up.run import stop_running_up
from tests.support.order_records import paths_at


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = paths_at(tmp_path)
    made.create_run_dir()
    return made


@pytest.fixture
def received() -> Iterator[list[int]]:
    """Receive the signal in the test process, which holds the lock as `up` would."""
    numbers: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: numbers.append(number))
    yield numbers
    signal.signal(signal.SIGTERM, before)


def lock(paths: Paths) -> OpenFile:
    return REAL_DISK.lock(paths.lock("up"))


def test_without_a_running_up_the_peer_is_unreachable(paths: Paths) -> None:
    with pytest.raises(PeerUnreachable, match="nothing to stop"):
        stop_running_up(paths, SystemClock(), lambda _: None, 1.0)


def test_the_lock_holder_is_signalled_and_waited_for(paths: Paths, received: list[int]) -> None:
    held = lock(paths)
    assert stop_running_up(paths, SystemClock(), lambda _: REAL_DISK.close(held), 5.0) == (os.getpid(), True)
    assert received == [signal.SIGTERM]


def test_an_up_that_does_not_stop_in_time_is_reported(paths: Paths, received: list[int]) -> None:
    held = lock(paths)
    assert stop_running_up(paths, SystemClock(), lambda _: None, 0.0) == (os.getpid(), False)
    REAL_DISK.close(held)
