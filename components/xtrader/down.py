"""Stops a running `up` from outside: asks it as Ctrl-C would, and waits until it has let go of its lock."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from components.contracts.errors import PeerUnreachable, StorageError
from components.runtime.clock import Clock
from components.runtime.places import Paths
from components.xtrader.holders import lock_holder

STOP_POLL_MS: Final = 100


def stop_running_up(paths: Paths, clock: Clock, wait_ms: Callable[[int], object], within_s: float) -> tuple[int, bool]:
    """Ask the running `up` to stop; give its process id and whether it is gone by then."""
    lock = paths.lock("up")
    pid = lock_holder(lock)
    if pid is None:
        raise PeerUnreachable(f"nothing to stop: no `xtrader up` holds {lock}")
    _send_sigterm(pid)
    until_ns = clock.monotonic_ns() + int(within_s * 1e9)
    while lock_holder(lock) == pid:
        if clock.monotonic_ns() >= until_ns:
            return pid, False
        wait_ms(STOP_POLL_MS)
    return pid, True


def _send_sigterm(pid: int) -> None:
    try:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise StorageError(f"process {pid} belongs to another user: run this as that user") from error
