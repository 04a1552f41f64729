"""Tick-to-order: from the decoded venue frame to the intent on disk, against a chain that only passes bytes."""

import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import raw_chain
from benchmarks.raw_chain import Pace
from components.runtime.clock import SystemClock
from components.runtime.config import read_layers
from components.runtime.secrets import make_seal
from components.xtrader.children import CHILDREN
from components.xtrader.crew import Crew
from components.xtrader.exposition import Buckets, buckets, samples
from components.xtrader.schemas import models
from components.xtrader.vitals import metrics_page
from components.xtrader.watch import TICK_TO_ORDER
from components.xtrader.yard import ProcessYard

BOUND = 2.5
SYMBOL = "AAPL"
SPEED = 25.0
"""One symbol, five quotes and a trade a second at speed 1: 150 messages a second, each quote an order."""
TICKS_PER_S = 125.0
TICKS_PER_ORDER = 1
"""Paced traffic, not a hot loop: an order is at the venue before the next tick."""
FLOOR_TICKS = 1_500
ORDERS_COUNTED = 1_500
WARM_UP_S = 3.0
READY_S_MAX = 60
COUNT_S_MAX = 90
MEMORY = Path("/dev/shm")  # noqa: S108  # a memory file system is what is measured

Cpus = tuple[set[int], set[int], set[int], set[int]]
HOT = ("market_data", "signals", "risk", "execution")


@dataclass(frozen=True)
class Placement:
    """Where the four processes of the chain run; the venue and this one run wherever there is room."""

    name: str
    cpus: Cpus | None
    bound: float | None = None
    """The promise is for how `up` places them: not at all."""


PLACEMENTS = (
    Placement("unpinned", None, BOUND),
    Placement("same core", ({0}, {0}, {0}, {0})),
    Placement("split", ({0}, {1}, {0}, {1})),
)

UNLIMITED = {
    "XTRADER__SIGNALS__STRATEGY__EDGE_ENTER_MIN": "0.001",
    "XTRADER__SIGNALS__STRATEGY__EDGE_EXIT_MIN": "0.001",
    "XTRADER__SIGNALS__STRATEGY__COOL_DOWN_MS": "0",
    "XTRADER__MARKET_DATA__SYMBOLS": f'["{SYMBOL}"]',
    "XTRADER__RISK__LIMITS__SYMBOLS": f'["{SYMBOL}"]',
    "XTRADER__RISK__LIMITS__ORDER_RATE_PER_MINUTE_MAX": "1_000_000",
    "XTRADER__RISK__LIMITS__REPEAT_WINDOW_MS": "0",
    "XTRADER__EXECUTION__PACE__ORDERS_PER_MINUTE": "10_000",
}

SMOKE = {"PLACEMENTS": PLACEMENTS[:1], "FLOOR_TICKS": 100, "ORDERS_COUNTED": 20, "WARM_UP_S": 0.0}


def rows() -> list[dict[str, Any]]:
    """Measure each placement beside its own floor, and the same on disk."""
    found = []
    for placement in PLACEMENTS:
        floor_us = _floor(placement)
        with _folder(MEMORY) as folder:
            memory_us = _ours(folder, placement)
        found.append(
            _row(f"tick-to-order p50, {placement.name}, journals in memory", memory_us, floor_us, placement.bound)
        )
        if placement.cpus is None:
            with _folder(None) as folder:
                found.append(
                    _row("tick-to-order p50, unpinned, journals on disk", _ours(folder, placement), floor_us, None)
                )
    return found


def _floor(placement: Placement) -> float:
    pace = Pace(TICKS_PER_S, TICKS_PER_ORDER, FLOOR_TICKS)
    return raw_chain.median(raw_chain.run(pace, placement.cpus))


def _row(name: str, value_us: float, floor_us: float, bound: float | None) -> dict[str, Any]:
    ratio = value_us / floor_us
    return {
        "name": name,
        "value": round(value_us, 1),
        "unit": "us",
        "reference": round(floor_us, 1),
        "ratio": round(ratio, 2),
        "bound": None if bound is None else f"<= {bound}",
        "holds": bound is None or ratio <= bound,
    }


@contextmanager
def _folder(base: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="xt-", dir=base) as folder:
        yield Path(folder)


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    wanted = {
        **UNLIMITED,
        "XTRADER__RUNTIME__STATE_DIR": str(folder / "var"),
        "XTRADER__RUNTIME__RUN_DIR": str(folder / "r"),
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _ours(folder: Path, placement: Placement) -> float:
    """Run the real processes until enough intents were accepted; give the p50 in microseconds."""
    with _environment(folder):
        places = read_layers().check(models()).places
        places.make()
        make_seal(places)
        state = ("--state", str(places.state / "sandbox"))
        pace = ("--symbols", SYMBOL, "--speed", str(SPEED), "--rate-limit-per-minute", "1000000")
        yard = ProcessYard(places, (*state, *pace, "--json"), SystemClock().now_ns)
        crew = Crew(CHILDREN, yard, SystemClock(), lambda _: None)
        try:
            _until_ready(crew)
            _place(crew, placement)
            time.sleep(WARM_UP_S)
            return (_taken(crew, yard).quantile(0.5) or math.inf) * 1e6
        finally:
            crew.stop()


def _until_ready(crew: Crew) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while not crew.is_ready:
        crew.step()
        time.sleep(0.05)
        if time.monotonic() > deadline:
            waiting: Mapping[str, str] = {name: berth.readiness.detail for name, berth in crew.berths.items()}
            raise TimeoutError(f"not ready within {READY_S_MAX} s: {waiting}")


def _place(crew: Crew, placement: Placement) -> None:
    if placement.cpus is None:
        return
    for name, cpus in zip(HOT, placement.cpus, strict=True):
        process = crew.berths[name].process
        if process is None:
            raise RuntimeError(f"{name} is gone")
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cpus)


def _taken(crew: Crew, yard: ProcessYard) -> Buckets:
    """Read execution's own histogram before and after enough intents were accepted."""
    before = _histogram(crew, yard)
    deadline = time.monotonic() + COUNT_S_MAX
    while True:
        time.sleep(1.0)
        now = _histogram(crew, yard)
        taken = Buckets({bound: count - before.counts.get(bound, 0.0) for bound, count in now.counts.items()})
        if taken.counts[math.inf] >= ORDERS_COUNTED:
            return taken
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {taken.counts[math.inf]:.0f} intents in {COUNT_S_MAX} s")


def _histogram(crew: Crew, yard: ProcessYard) -> Buckets:
    execution = crew.berths["execution"]
    pid = execution.process.pid if execution.process else 0
    page = metrics_page(yard.health_port(execution.child, pid))
    if page is None:
        raise RuntimeError("execution does not answer")
    return buckets(samples(page), TICK_TO_ORDER)
