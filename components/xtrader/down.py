"""Stops a running `up` from outside: asks it as Ctrl-C would, and waits until it has let go of its lock."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from components.contracts.errors import IoFailed, PeerUnreachable
from components.runtime.clock import Clock
from components.runtime.places import Places
from components.xtrader.holders import holder

LOOK_AGAIN_MS: Final = 100


def stop(places: Places, clock: Clock, wait_ms: Callable[[int], object], within_s: float) -> tuple[int, bool]:
    """Ask the running `up` to stop; give its process id and whether it is gone by then."""
    lock = places.lock("up")
    pid = holder(lock)
    if pid is None:
        raise PeerUnreachable(f"nothing to stop: no `xtrader up` holds {lock}")
    _ask(pid)
    until_ns = clock.monotonic_ns() + int(within_s * 1e9)
    while holder(lock) == pid:
        if clock.monotonic_ns() >= until_ns:
            return pid, False
        wait_ms(LOOK_AGAIN_MS)
    return pid, True


def _ask(pid: int) -> None:
    try:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise IoFailed(f"process {pid} belongs to another user: run this as that user") from error
