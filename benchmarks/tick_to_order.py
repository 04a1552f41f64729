"""Tick to order: from the decoded venue frame to the intent on disk, compared with a floor.

The floor is four processes that only pass bytes of the same size in the same shape.
"""

import math
import multiprocessing
import os
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import zmq

from components.runtime.clock import SystemClock
from components.runtime.config.secrets import create_seal_key
from components.runtime.config.settings import read_layers
from components.xtrader.configuration import table_models
from components.xtrader.supervisor.health import fetch_metrics
from components.xtrader.supervisor.launcher import ProcessLauncher
from components.xtrader.supervisor.processes import PROCESSES
from components.xtrader.supervisor.supervisor import Supervisor
from components.xtrader.up.monitor import TICK_TO_ORDER_METRIC, Histogram, histogram_of, parse_metrics

BOUND = 2.5
SYMBOL = "AAPL"
SPEED = 25.0
"""One symbol, five quotes and a trade a second at speed 1: 150 messages a second, each quote an order."""
TICKS_PER_S = 125.0
TICKS_PER_ORDER = 1
"""Paced traffic, not a busy loop: an order is at the venue before the next tick."""
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
    """The cores of the four processes; the venue and this process run on any core."""

    name: str
    cpus: Cpus | None
    bound: float | None = None
    """The target is for how `up` places the processes: not pinned."""


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
    "XTRADER__EXECUTION__REQUEST_BUDGET__ORDERS_PER_MINUTE": "10_000",
}
SMOKE = {"PLACEMENTS": PLACEMENTS[:1], "FLOOR_TICKS": 100, "ORDERS_COUNTED": 20, "WARM_UP_S": 0.0}


def rows() -> list[dict[str, Any]]:
    """Measure each placement beside its own floor, and the same with journals on disk."""
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
    return floor_median_us(run_floor(pace, placement.cpus))


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
    """Run the real processes until enough intents were accepted; return the p50 in microseconds."""
    with _environment(folder):
        paths = read_layers().validate(table_models()).paths
        paths.create_run_dir()
        create_seal_key(paths)
        state = ("--state", str(paths.state / "sandbox"))
        pace = ("--symbols", SYMBOL, "--speed", str(SPEED), "--rate-limit-per-minute", "1000000")
        launcher = ProcessLauncher(paths, (*state, *pace, "--json"), SystemClock().now_ns)
        supervisor = Supervisor(PROCESSES, launcher, SystemClock(), lambda _: None)
        try:
            _until_ready(supervisor)
            _place(supervisor, placement)
            time.sleep(WARM_UP_S)
            return (_measured_histogram(supervisor, launcher).quantile(0.5) or math.inf) * 1e6
        finally:
            supervisor.stop()


def _until_ready(supervisor: Supervisor) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while not supervisor.is_ready:
        supervisor.step()
        time.sleep(0.05)
        if time.monotonic() > deadline:
            waiting: Mapping[str, str] = {name: child.readiness.detail for name, child in supervisor.children.items()}
            raise TimeoutError(f"not ready within {READY_S_MAX} s: {waiting}")


def _place(supervisor: Supervisor, placement: Placement) -> None:
    if placement.cpus is None:
        return
    for name, cpus in zip(MEASURED_PROCESSES, placement.cpus, strict=True):
        process = supervisor.children[name].process
        if process is None:
            raise RuntimeError(f"{name} is gone")
        for thread in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cpus)


def _measured_histogram(supervisor: Supervisor, launcher: ProcessLauncher) -> Histogram:
    """Return the histogram of execution for the intents accepted meanwhile; waits until they are enough."""
    before = _histogram(supervisor, launcher)
    deadline = time.monotonic() + COUNT_S_MAX
    while True:
        time.sleep(1.0)
        now = _histogram(supervisor, launcher)
        measured = Histogram({bound: count - before.counts.get(bound, 0.0) for bound, count in now.counts.items()})
        if measured.counts[math.inf] >= ORDERS_COUNTED:
            return measured
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {measured.counts[math.inf]:.0f} intents in {COUNT_S_MAX} s")


def _histogram(supervisor: Supervisor, launcher: ProcessLauncher) -> Histogram:
    execution = supervisor.children["execution"]
    pid = execution.process.pid if execution.process else 0
    page = fetch_metrics(launcher.health_port(execution.spec, pid))
    if page is None:
        raise RuntimeError("execution does not answer")
    return histogram_of(parse_metrics(page), TICK_TO_ORDER_METRIC)


STAMP = struct.Struct("<qB")
TICK_PAYLOAD_BYTES = 60
HEADER_BYTES = 65
APPROVAL_REQUEST_BYTES = 340
COMMAND_BYTES = 440
"""The sizes of a quote, a header, an approval request and a sealed approval."""
WARM_UP_TICKS = 200
WAIT_S_MAX = 120


@dataclass(frozen=True)
class FloorLoad:
    """Ticks per second, ticks per order, and the number of ticks."""

    ticks_per_s: float
    ticks_per_order: int
    ticks: int


def run_floor(pace: FloorLoad, cpus: tuple[set[int], set[int], set[int], set[int]] | None) -> list[float]:
    """Return the microseconds of each passage; `cpus` pins the four processes."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="xt-") as folder:
        near, far = context.Pipe()
        links: tuple[Callable[..., None], ...] = (_source, _request_client, _request_server, _command_receiver)
        processes = [
            context.Process(target=link, args=(Path(folder), pace, cpus[place] if cpus else None, far), daemon=True)
            for place, link in reversed(list(enumerate(links)))
        ]
        for process in processes:
            process.start()
        if not near.poll(WAIT_S_MAX):
            raise TimeoutError(f"the raw chain did not end within {WAIT_S_MAX} s")
        measured: list[float] = near.recv()
        for process in processes:
            process.join(10)
    return measured


def floor_median_us(measured: list[float]) -> float:
    """Return the p50 after the warm-up."""
    return statistics.median(measured)


def _address(folder: Path, name: str) -> str:
    return f"ipc://{folder}/{name}"


def _pin(cpus: set[int] | None) -> None:
    if cpus:
        os.sched_setaffinity(0, cpus)


def _source(folder: Path, pace: FloorLoad, cpus: set[int] | None, _: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    publisher = context.socket(zmq.XPUB)
    publisher.bind(_address(folder, "market"))
    publisher.recv()
    time.sleep(0.5)
    header, padding = bytes(HEADER_BYTES), bytes(TICK_PAYLOAD_BYTES - STAMP.size)
    due = time.monotonic()
    for number in range(-WARM_UP_TICKS, pace.ticks):
        due += 1 / pace.ticks_per_s
        time.sleep(max(0.0, due - time.monotonic()))
        wanted = 2 if number < 0 else int(number % pace.ticks_per_order == 0)
        stamp = STAMP.pack(time.monotonic_ns(), wanted)
        publisher.send_multipart((b"market", header, stamp + padding))
    publisher.send_multipart((b"market", header, STAMP.pack(0, 3)))
    time.sleep(1.0)


def _request_client(folder: Path, _: FloorLoad, cpus: set[int] | None, __: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    subscriber = context.socket(zmq.SUB)
    subscriber.connect(_address(folder, "market"))
    subscriber.subscribe(b"market")
    dealer = context.socket(zmq.DEALER)
    dealer.connect(_address(folder, "risk_requests"))
    poller = zmq.Poller()
    poller.register(subscriber, zmq.POLLIN)
    poller.register(dealer, zmq.POLLIN)
    header, padding = bytes(HEADER_BYTES), bytes(APPROVAL_REQUEST_BYTES - STAMP.size)
    while True:
        for socket, _events in poller.poll():
            frames = socket.recv_multipart()
            if socket is dealer:
                continue
            stamp = frames[2][: STAMP.size]
            if (wanted := STAMP.unpack(stamp)[1]) == 0:
                continue
            dealer.send_multipart((b"", b"risk_requests", header, stamp + padding))
            if wanted == 3:
                return


def _request_server(folder: Path, _: FloorLoad, cpus: set[int] | None, __: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    router = context.socket(zmq.ROUTER)
    router.bind(_address(folder, "risk_requests"))
    dealer = context.socket(zmq.DEALER)
    dealer.connect(_address(folder, "commands"))
    poller = zmq.Poller()
    poller.register(router, zmq.POLLIN)
    poller.register(dealer, zmq.POLLIN)
    header, padding = bytes(HEADER_BYTES), bytes(COMMAND_BYTES - STAMP.size)
    while True:
        for socket, _events in poller.poll():
            frames = socket.recv_multipart()
            if socket is dealer:
                continue
            stamp = frames[4][: STAMP.size]
            router.send_multipart((frames[0], b"", b"risk_requests", header, b"y"))
            dealer.send_multipart((b"", b"commands", header, stamp + padding))
            if STAMP.unpack(stamp)[1] == 3:
                return


def _command_receiver(folder: Path, _: FloorLoad, cpus: set[int] | None, report: Connection) -> None:
    _pin(cpus)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    router = context.socket(zmq.ROUTER)
    router.bind(_address(folder, "commands"))
    measured: list[float] = []
    while True:
        frames = router.recv_multipart()
        sent_ns, wanted = STAMP.unpack(frames[4][: STAMP.size])
        if wanted == 3:
            report.send(measured)
            return
        if wanted == 1:
            measured.append((time.monotonic_ns() - sent_ns) / 1e3)
        router.send_multipart((frames[0], b"", b"y"))
