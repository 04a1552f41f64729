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
from benchmarks.raw_chain import FloorLoad
from components.runtime.clock import SystemClock
from components.runtime.config import read_layers
from components.runtime.secrets import create_seal_key
from components.xtrader.children import PROCESSES
from components.xtrader.crew import Supervisor
from components.xtrader.exposition import Histogram, histogram_of, parse_metrics
from components.xtrader.schemas import table_models
from components.xtrader.vitals import fetch_metrics
from components.xtrader.watch import TICK_TO_ORDER_METRIC
from components.xtrader.yard import ProcessLauncher

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
MEASURED_PROCESSES = ("market_data", "signals", "risk", "execution")


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

RELAXED_LIMITS = {
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
            memory_us = _measured_us(folder, placement)
        found.append(
            _row(f"tick-to-order p50, {placement.name}, journals in memory", memory_us, floor_us, placement.bound)
        )
        if placement.cpus is None:
            with _folder(None) as folder:
                found.append(
                    _row(
                        "tick-to-order p50, unpinned, journals on disk", _measured_us(folder, placement), floor_us, None
                    )
                )
    return found


def _floor(placement: Placement) -> float:
    pace = FloorLoad(TICKS_PER_S, TICKS_PER_ORDER, FLOOR_TICKS)
    return raw_chain.floor_median_us(raw_chain.run_floor(pace, placement.cpus))


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
        **RELAXED_LIMITS,
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


def _measured_us(folder: Path, placement: Placement) -> float:
    """Run the real processes until enough intents were accepted; give the p50 in microseconds."""
    with _environment(folder):
        places = read_layers().validate(table_models()).paths
        places.create_run_dir()
        create_seal_key(places)
        state = ("--state", str(places.state / "sandbox"))
        pace = ("--symbols", SYMBOL, "--speed", str(SPEED), "--rate-limit-per-minute", "1000000")
        yard = ProcessLauncher(places, (*state, *pace, "--json"), SystemClock().now_ns)
        crew = Supervisor(PROCESSES, yard, SystemClock(), lambda _: None)
        try:
            _until_ready(crew)
            _place(crew, placement)
            time.sleep(WARM_UP_S)
            return (_median_us(crew, yard).quantile(0.5) or math.inf) * 1e6
        finally:
            crew.stop()


def _until_ready(crew: Supervisor) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while not crew.is_ready:
        crew.step()
        time.sleep(0.05)
        if time.monotonic() > deadline:
            waiting: Mapping[str, str] = {name: berth.readiness.detail for name, berth in crew.children.items()}
            raise TimeoutError(f"not ready within {READY_S_MAX} s: {waiting}")


def _place(crew: Supervisor, placement: Placement) -> None:
    if placement.cpus is None:
        return
    for name, cpus in zip(MEASURED_PROCESSES, placement.cpus, strict=True):
        process = crew.children[name].process
        if process is None:
            raise RuntimeError(f"{name} is gone")
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cpus)


def _median_us(crew: Supervisor, yard: ProcessLauncher) -> Histogram:
    """Read execution's own histogram before and after enough intents were accepted."""
    before = _histogram(crew, yard)
    deadline = time.monotonic() + COUNT_S_MAX
    while True:
        time.sleep(1.0)
        now = _histogram(crew, yard)
        taken = Histogram({bound: count - before.counts.get(bound, 0.0) for bound, count in now.counts.items()})
        if taken.counts[math.inf] >= ORDERS_COUNTED:
            return taken
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {taken.counts[math.inf]:.0f} intents in {COUNT_S_MAX} s")


def _histogram(crew: Supervisor, yard: ProcessLauncher) -> Histogram:
    execution = crew.children["execution"]
    pid = execution.process.pid if execution.process else 0
    page = fetch_metrics(yard.health_port(execution.spec, pid))
    if page is None:
        raise RuntimeError("execution does not answer")
    return histogram_of(parse_metrics(page), TICK_TO_ORDER_METRIC)
