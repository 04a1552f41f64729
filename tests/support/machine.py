"""How much slower this machine is than the one that the deadlines of the tests were written on."""

import subprocess
import sys
import time
from functools import cache
from typing import Final

REFERENCE_S: Final = 0.3
"""What the fixed work takes on two idle cores of the machine of reference."""
MARGIN: Final = 2.0
"""A deadline only costs who misses it, and the load may grow after it was measured."""
FACTOR_MAX: Final = 10.0
TURNS: Final = 3_000_000
IMPORTS: Final = "import asyncio, decimal, email, http.client, json, logging, ssl, unittest"


@cache
def patience() -> float:
    """Give the factor of every deadline: the fixed work is measured once per test run, where it is first asked for."""
    return MARGIN * min(FACTOR_MAX, max(1.0, _work_s() / REFERENCE_S))


def scaled(seconds: float) -> float:
    """Stretch a deadline to this machine."""
    return seconds * patience() if seconds else seconds


def _work_s() -> float:
    """Time the fixed work: a loop, and the start of a process that imports a few things."""
    begun_s = time.perf_counter()
    number = 0
    for turn in range(TURNS):
        number ^= turn
    subprocess.run([sys.executable, "-c", IMPORTS], check=True, timeout=60)
    return time.perf_counter() - begun_s
