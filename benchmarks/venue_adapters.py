"""A venue's adapter, with service and bus, at ten thousand frames a second, and after a disconnect."""

import asyncio
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from random import random
from statistics import median, quantiles
from typing import Any, Final, NamedTuple

import uvloop

from benchmarks.fake_venue import SPAWN, VENUE_FORMATS, FakeVenueProcess, VenueFormat, pin_to_core
from components.contracts.market import BookDelta, BookSnapshot
from components.contracts.streams import BOOKS, HEALTH, MARKET, Stream
from components.market_data import config as configuration
from components.market_data.config import VenueConfig
from components.market_data.core.events import DecodedFrame, FeedMessage
from components.market_data.service.market_data import MarketDataService
from components.market_data.service.order_books import OrderBookService
from components.market_data.venues.feeds import VenueFeed
from components.market_data.venues.registry import create_adapter
from components.market_data.wiring import book_settings
from components.runtime.bus.bus import open_bus
from components.runtime.clock import SystemClock
from components.runtime.logs import LogLevel, configure, logger
from components.runtime.metrics import Metrics
from components.runtime.process.loop import LoopContext, run_async
from components.runtime.service import StreamBindings

Row = dict[str, Any]
PER_SECOND: Final = 10_000
FULL_S = 100
"""A million frames at full pace."""
MODERATE_PER_SECOND: Final = 1_000
MODERATE_S = 8
DISCONNECTS = 6
DISCONNECT_PER_SECOND: Final = 100
AFTER_DISCONNECT_S = 1.5
READY_S_MAX: Final = 20
WARM_UP_S: Final = 2
SAMPLE_S: Final = 0.5
CPU_MAX: Final = 0.50
MIB_MAX: Final = 100
GROWTH_MIB_MAX: Final = 2.0
"""No growth but what an allocator moves."""
PUBLISHED_P95_US_MAX: Final = 100
RECOVERY_MS_MAX: Final = 1_000
SPANS_MAX: Final = 2_000
RECONNECT_S_MAX: Final = 10
"""After repeated disconnects the backoff grows; recovery is measured from the accepted connection."""
ADAPTER_ONLY_S = 20
CONFIG: Final = Path(__file__).resolve().parents[1] / "config" / "base.toml"
TABLES: Final[dict[str, type[VenueConfig]]] = {
    "binance": configuration.BinanceConfig,
    "binanceum": configuration.BinanceUmConfig,
    "okx": configuration.OkxConfig,
    "deribit": configuration.DeribitConfig,
}
STAMPED_IN_US: Final = {"binance", "binanceum"}
"""The other venues' times are in milliseconds: too coarse to measure latency."""
SMOKE: Final = {"FULL_S": 5, "MODERATE_S": 2, "DISCONNECTS": 1, "ADAPTER_ONLY_S": 5}


class Sample(NamedTuple):
    """What the adapter's process had used at one moment."""

    at_ns: int
    cpu_ns: int
    rss_mib: float
    published: int


class RunResult(NamedTuple):
    """The measurements of one run."""

    samples: list[Sample]
    since_read_ns: list[int]
    since_sent_ns: list[int]
    snapshots_at_ns: list[int]
    frames: int


def rows() -> list[Row]:
    """Measure each venue at full pace, at a moderate pace, and with repeated disconnects."""
    return [
        row
        for venue_format in VENUE_FORMATS.values()
        for row in (*_full(venue_format), *_moderate(venue_format), _disconnects(venue_format))
    ]


def _full(venue_format: VenueFormat) -> list[Row]:
    result = _run(venue_format, PER_SECOND, lambda _: time.sleep(FULL_S))
    alone = _run(venue_format, PER_SECOND, lambda _: time.sleep(ADAPTER_ONLY_S), is_adapter_only=True)
    first, last = _after_warm_up(result), result.samples[-1]
    name = f"{_name(venue_format)} at {PER_SECOND:,} frames a second"
    pace = result.frames / ((last.at_ns - result.samples[0].at_ns) / 1e9)
    settled = [one.rss_mib for one in result.samples if one.at_ns >= first.at_ns]
    tenth = max(1, len(settled) // 10)
    growth = median(settled[-tenth:]) - median(settled[tenth : 2 * tenth] or settled[:tenth])
    return [
        _row(f"{name}, frames read a second", pace, "1/s", PER_SECOND, None) | {"ratio": pace / PER_SECOND},
        _row(f"{name}, the adapter's own CPU", _cores(alone), "cores", CPU_MAX, CPU_MAX),
        _row(f"{name}, CPU of adapter, service and bus", _cores(result), "cores", None, None),
        _row(f"{name}, memory after {result.frames:,}", last.rss_mib, "MiB", MIB_MAX, MIB_MAX),
        _row(f"{name}, memory gained by the last tenth since the second", growth, "MiB", None, GROWTH_MIB_MAX),
    ]


def _after_warm_up(result: RunResult) -> Sample:
    return next(one for one in result.samples if one.at_ns >= result.samples[0].at_ns + WARM_UP_S * 1e9)


def _cores(result: RunResult) -> float:
    first, last = _after_warm_up(result), result.samples[-1]
    return (last.cpu_ns - first.cpu_ns) / (last.at_ns - first.at_ns)


def _moderate(venue_format: VenueFormat) -> list[Row]:
    result = _run(venue_format, MODERATE_PER_SECOND, lambda _: time.sleep(MODERATE_S))
    name = f"{_name(venue_format)} at {MODERATE_PER_SECOND:,} frames a second"
    read = _p95_us(result.since_read_ns)
    measured = [_row(f"{name}, socket read to published, p95", read, "us", PUBLISHED_P95_US_MAX, PUBLISHED_P95_US_MAX)]
    if venue_format.config_table in STAMPED_IN_US:
        measured.append(
            _row(f"{name}, sent by the venue to published, p95", _p95_us(result.since_sent_ns), "us", None, None)
        )
    return measured


def _p95_us(spans: list[int]) -> float:
    return quantiles(spans, n=20)[18] / 1e3


def _disconnects(venue_format: VenueFormat) -> Row:
    spans: list[float] = []

    def cut(venue: FakeVenueProcess) -> None:
        for _ in range(DISCONNECTS):
            venue.disconnect()
            accepted.append(_accepted(venue))
            time.sleep(AFTER_DISCONNECT_S)

    accepted: list[int] = []
    result = _run(venue_format, DISCONNECT_PER_SECOND, cut)
    for at_ns in accepted:
        good = next((one for one in result.snapshots_at_ns if one > at_ns > 0), None)
        spans.append((good - at_ns) / 1e6 if good is not None else float("inf"))
    name = f"{_name(venue_format)}, the worst of {DISCONNECTS} disconnects, TCP accept to first good book"
    return _row(name, max(spans), "ms", RECOVERY_MS_MAX, RECOVERY_MS_MAX)


def _accepted(venue: FakeVenueProcess) -> int:
    deadline_s = time.monotonic() + RECONNECT_S_MAX
    while (at_ns := venue.accepted_at_ns()) == 0:
        if time.monotonic() > deadline_s:
            sys.exit(f"the adapter did not come back within {RECONNECT_S_MAX} s")
        time.sleep(0.05)
    return at_ns


def _name(venue_format: VenueFormat) -> str:
    return venue_format.symbol.partition(":")[0]


def _row(name: str, value: float, unit: str, reference: float | None, bound: float | None) -> Row:
    ratio = None if reference is None or bound is None else value / reference
    text = None if bound is None else f"<= {bound:g} {unit}"
    holds = bound is None or value <= bound
    return {
        "name": name, "value": value, "unit": unit, "reference": reference, "ratio": ratio, "bound": text,
        "holds": holds
    }  # fmt: skip


def _run(
    venue_format: VenueFormat,
    per_second: int,
    meanwhile: Callable[[FakeVenueProcess], None],
    *,
    is_adapter_only: bool = False,
) -> RunResult:
    """Run the adapter against the venue, each on a core of its own where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    venue = FakeVenueProcess(venue_format, per_second=per_second, core=theirs)
    pipe, far = SPAWN.Pipe()
    adapter = SPAWN.Process(
        target=_adapter_only if is_adapter_only else _adapter,
        args=(far, venue_format.config_table, venue.port, ours),
        daemon=True,
    )
    adapter.start()
    try:
        if not pipe.poll(READY_S_MAX) or pipe.recv() != "ready":
            sys.exit(f"{venue_format.config_table}: no book within {READY_S_MAX} s")
        meanwhile(venue)
        pipe.send("end")
        if not pipe.poll(READY_S_MAX):
            sys.exit(f"{venue_format.config_table}: the adapter did not end")
        result: RunResult = pipe.recv()
        adapter.join()
        venue.close()
        return result
    finally:
        adapter.kill()


def _adapter(pipe: Connection, table: str, port: int, core: int | None) -> None:
    pin_to_core(core)
    configure("bench", level=LogLevel.ERROR)
    venue_format, clock, metrics = VENUE_FORMATS[table], SystemClock(), Metrics("market_data", "bench")
    config = _config(table, venue_format, port)
    adapter = create_adapter(config, lambda _: b"")
    service = MarketDataService(None, OrderBookService([book_settings(config, adapter, 10_000)], metrics, random))
    feed = VenueFeed(adapter, config, clock, random, metrics)
    with tempfile.TemporaryDirectory(prefix="xb-") as folder:
        lines = StreamBindings(component="market_data", publishes=(MARKET, BOOKS, HEALTH))
        bus = _TimedBus(open_bus(Path(folder), lines, clock=clock, metrics=metrics, log=logger()), pipe)
        context = LoopContext(
            component="market_data",
            version="bench",
            service=service,
            bus=bus,
            clock=clock,
            log=logger(),
            venue=feed,
            feed=feed,
            tick_ms=50,
            report_health=lambda _: None,
            should_stop=bus.is_over,
            drain_timeout_ms=0,
        )
        run_async(context)
        bus.close()
    frames = metrics.counter("market_frames_total", "Frames of a venue's streams", ("venue",)).labels(adapter.venue)
    bus.report(int(frames._value.get()))  # noqa: SLF001 -- what has been counted can be read nowhere else
    pipe.close()


def _adapter_only(pipe: Connection, table: str, port: int, core: int | None) -> None:
    """Run the adapter without service and bus, so that its figure contains nothing else."""
    pin_to_core(core)
    configure("bench", level=LogLevel.ERROR)
    venue_format, metrics = VENUE_FORMATS[table], Metrics("market_data", "bench")
    config = _config(table, venue_format, port)
    sink = _Sink(pipe)
    feed = VenueFeed(create_adapter(config, lambda _: b""), config, SystemClock(), random, metrics)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(sink.receive(feed))
    pipe.send(RunResult(sink.samples, [], [], [], sink.frames))


class _Sink:
    """Counts frames and samples CPU and memory."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.frames = 0
        self.samples: list[Sample] = []

    async def receive(self, feed: VenueFeed) -> None:
        task = asyncio.create_task(feed.run(self._take))
        while not self._pipe.poll():
            await asyncio.sleep(SAMPLE_S)
            self.samples.append(Sample(time.monotonic_ns(), time.process_time_ns(), _rss_mib(), self.frames))
        task.cancel()
        await asyncio.wait([task])
        await feed.close()

    def _take(self, message: FeedMessage) -> None:
        if isinstance(message, DecodedFrame):
            if self.frames == 0:
                self._pipe.send("ready")
            self.frames += 1


def _config(table: str, venue_format: VenueFormat, port: int) -> VenueConfig:
    """Return the shipped configuration with one book subscribed."""
    shipped = tomllib.loads(CONFIG.read_text())["market_data"][table]
    measured = {
        "symbols": (venue_format.symbol,),
        "stream_url": f"ws://127.0.0.1:{port}",
        "rest_url": f"http://127.0.0.1:{port}",
        "quotes": False,
        "trades": False,
        "audit_every_s": 0,
    }
    return TABLES[table].model_validate(shipped | measured)


class _TimedBus:
    """The process's message bus, with the times of what is published."""

    def __init__(self, bus: Any, pipe: Connection) -> None:  # noqa: ANN401 -- every method but one is passed on
        self._bus, self._pipe = bus, pipe
        self._publish = bus.publish
        self._samples: list[Sample] = []
        self._read: list[int] = []
        self._sent: list[int] = []
        self._snapshots: list[int] = []
        self._count = self._sampled_at_ns = 0
        self._is_ready = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- as above
        return getattr(self._bus, name)

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Publish, then read the clock."""
        self._publish(stream, body, event_at_ns, received_at_ns)
        kind = type(body)
        if kind is BookDelta:
            self._count += 1
            # Every fourth, up to a bound: what is stored here is no part of what is measured.
            if self._count % 4 == 0 and len(self._read) < SPANS_MAX:
                now_ns = time.time_ns()
                self._read.append(now_ns - body.received_at_ns)
                self._sent.append(now_ns - body.venue_at_ns)
        elif kind is BookSnapshot:
            self._snapshots.append(time.monotonic_ns())
            if not self._is_ready:
                self._is_ready = True
                self._pipe.send("ready")

    def is_over(self) -> bool:
        """Sample from time to time; return whether this was the last frame."""
        now_ns = time.monotonic_ns()
        if self._is_ready and now_ns - self._sampled_at_ns >= SAMPLE_S * 1e9:
            self._sampled_at_ns = now_ns
            self._samples.append(Sample(now_ns, time.process_time_ns(), _rss_mib(), self._count))
        return self._pipe.poll()

    def report(self, frames: int) -> None:
        """Send the measurements to the parent process."""
        self._pipe.send(RunResult(self._samples, self._read, self._sent, self._snapshots, frames))


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


if __name__ == "__main__":
    for one in rows():
        print(one)
