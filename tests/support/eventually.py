"""Polling for a condition with a deadline that is scaled to the machine; the only module of the tests that sleeps."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.support.machine import scaled

Seen = TypeVar("Seen")
WITHIN_S = 5.0
EVERY_S = 0.01
STALLED_S = 20.0


def eventually(probe: Callable[[], Seen], *, within_s: float = WITHIN_S, every_s: float = EVERY_S) -> Seen:
    """Return the first truthy result of the probe; fail with its last result after the deadline."""
    within_s = scaled(within_s)
    deadline_s = time.monotonic() + within_s
    while not (seen := probe()):
        _fail_after(deadline_s, within_s, probe, seen)
        time.sleep(every_s)
    return seen


def reached(count: Callable[[], int], goal: int, *, stalled_s: float = STALLED_S, every_s: float = EVERY_S) -> int:
    """Return the count once it is at least the goal, however long that takes; fail when it stops growing."""
    seen = count()
    while seen < goal:
        before = seen
        seen = eventually(lambda: now if (now := count()) > before else 0, within_s=stalled_s, every_s=every_s)  # noqa: B023  # called at once
    return seen


async def eventually_async(
    probe: Callable[[], Awaitable[Seen]], *, within_s: float = WITHIN_S, every_s: float = EVERY_S
) -> Seen:
    """Do the same on a running event loop; a probe that hangs is cancelled at the deadline."""
    within_s = scaled(within_s)
    deadline_s = time.monotonic() + within_s
    seen: Seen | str = "nothing yet"
    try:
        async with asyncio.timeout(within_s):
            while not (seen := await probe()):
                _fail_after(deadline_s, within_s, probe, seen)
                await asyncio.sleep(every_s)
            return seen
    except TimeoutError:
        raise _failure(within_s, probe, seen) from None


def _fail_after(deadline_s: float, within_s: float, probe: object, seen: object) -> None:
    if time.monotonic() >= deadline_s:
        raise _failure(within_s, probe, seen)


def _failure(within_s: float, probe: object, seen: object) -> AssertionError:
    name = getattr(probe, "__qualname__", repr(probe))
    return AssertionError(f"{name} did not come true within {within_s:g} s; its last result was {seen!r}")
