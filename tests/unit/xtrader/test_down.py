"""`down` asks the `up` that holds the lock, waits within its bound, and says so where there is none."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.contracts.errors import PeerUnreachable
from components.runtime.clock import SystemClock
from components.runtime.disk import REAL_DISK, OpenFile
from components.runtime.places import Places
from components.xtrader.down import stop
from components.xtrader.holders import holder
from tests.unit.xtrader.tale import places_at


@pytest.fixture
def places(tmp_path: Path) -> Places:
    made = places_at(tmp_path)
    made.make()
    return made


@pytest.fixture
def asked() -> Iterator[list[int]]:
    """Hear the signal in our own process, which plays `up`."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


def lock(places: Places) -> OpenFile:
    return REAL_DISK.lock(places.lock("up"))


def test_nothing_to_stop_is_a_peer_that_is_not_there(places: Places) -> None:
    with pytest.raises(PeerUnreachable, match="nothing to stop"):
        stop(places, SystemClock(), lambda _: None, 1.0)


def test_the_holder_is_asked_and_waited_for(places: Places, asked: list[int]) -> None:
    held = lock(places)
    assert stop(places, SystemClock(), lambda _: REAL_DISK.close(held), 5.0) == (os.getpid(), True)
    assert asked == [signal.SIGTERM]


def test_one_that_does_not_stop_in_time_is_told(places: Places, asked: list[int]) -> None:
    held = lock(places)
    assert stop(places, SystemClock(), lambda _: None, 0.0) == (os.getpid(), False)
    REAL_DISK.close(held)


def test_looking_at_a_lock_takes_nothing_from_anybody(places: Places) -> None:
    assert holder(places.lock("up")) is None
    held = lock(places)
    assert holder(places.lock("up")) == os.getpid()
    REAL_DISK.close(held)
    assert holder(places.lock("up")) is None
    REAL_DISK.close(lock(places))


def test_a_lock_without_a_name_is_asked_again_and_never_everybody(places: Places) -> None:
    held = lock(places)
    places.lock("up").write_bytes(b"")
    with pytest.raises(PeerUnreachable, match="ask again"):
        holder(places.lock("up"))
    REAL_DISK.close(held)
