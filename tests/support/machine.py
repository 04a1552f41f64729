"""The speed of this machine, measured once per test run, and deadlines scaled by it."""

import subprocess
import sys
import time
from functools import cache
from typing import Final

REFERENCE_S: Final = 0.3
"""The duration of the measured work on two idle cores of the reference machine."""
MARGIN: Final = 2.0
"""The load may grow after the measurement; a longer deadline costs time only in a failing test."""
SLOWNESS_MAX: Final = 10.0
TURNS: Final = 3_000_000
IMPORTS: Final = "import asyncio, decimal, email, http.client, json, logging, ssl, unittest"


@cache
def slowness() -> float:
    """Return how many times slower this machine is than the reference, from 1 to SLOWNESS_MAX."""
    return min(SLOWNESS_MAX, max(1.0, _work_s() / REFERENCE_S))


def scaled(deadline: float) -> float:
    """Return a deadline multiplied by the slowness of this machine and by the margin; 0 stays 0."""
    return deadline * slowness() * MARGIN if deadline else deadline


def _work_s() -> float:
    """Return the duration of a loop and of a process start that imports a few modules."""
    started_s = time.perf_counter()
    number = 0
    for turn in range(TURNS):
        number ^= turn
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=60)
    return time.perf_counter() - started_s
