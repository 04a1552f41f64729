"""A venue's adapter, with the service and the bus behind it, at ten thousand frames a second, and after a cut."""

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
from components.runtime.config.schema import LogLevel
from components.runtime.logs import configure, logger
from components.runtime.metrics import Metrics
from components.runtime.process.loop import LoopContext, run_async
from components.runtime.service import StreamBindings

Row = dict[str, Any]


PER_SECOND: Final = 10_000


FULL_S = 100
"""At that pace a million frames."""


PACED: Final = 1_000


PACED_S = 8


CUTS = 6


CUT_PER_SECOND: Final = 100


AFTER_CUT_S = 1.5


READY_S_MAX: Final = 20


WARM_UP_S: Final = 2


SAMPLE_S: Final = 0.5


CPU_MAX: Final = 0.50


MIB_MAX: Final = 100


GROWTH_MIB_MAX: Final = 2.0
"""Flat: what an allocator moves about, no more."""


PUBLISHED_P95_US_MAX: Final = 100


RECOVERY_MS_MAX: Final = 1_000


SPANS_MAX: Final = 2_000


AWAY_S_MAX: Final = 10
"""Cut off again and again, an adapter takes its time to come back; it is measured from when it does."""


ALONE_S = 20


CONFIG: Final = Path(__file__).resolve().parents[1] / "config" / "base.toml"


TABLES: Final[dict[str, type[VenueConfig]]] = {
    "binance": configuration.BinanceConfig,
    "binanceum": configuration.BinanceUmConfig,
    "okx": configuration.OkxConfig,
    "deribit": configuration.DeribitConfig,
}


STAMPED_IN_US: Final = {"binance", "binanceum"}
"""The other venues' times are in milliseconds: too coarse to measure by."""


SMOKE: Final = {"FULL_S": 5, "PACED_S": 2, "CUTS": 1, "ALONE_S": 5}


class Sample(NamedTuple):
    """What the adapter's process had used at one moment."""

    at_ns: int
    cpu_ns: int
    rss_mib: float
    published: int


class RunResult(NamedTuple):
    """What became of a run."""

    samples: list[Sample]
    since_read_ns: list[int]
    since_sent_ns: list[int]
    snapshots_at_ns: list[int]
    frames: int


def rows() -> list[Row]:
    """Try each venue: at full pace, at an ordinary one, and cut off again and again."""
    return [row for tongue in VENUE_FORMATS.values() for row in (*_full(tongue), *_paced(tongue), _cut(tongue))]


def _full(tongue: VenueFormat) -> list[Row]:
    heard = _run(tongue, PER_SECOND, lambda _: time.sleep(FULL_S))
    alone = _run(tongue, PER_SECOND, lambda _: time.sleep(ALONE_S), is_alone=True)
    began, last = _began(heard), heard.samples[-1]
    name = f"{_name(tongue)} at {PER_SECOND:,} frames a second"
    pace = heard.frames / ((last.at_ns - heard.samples[0].at_ns) / 1e9)
    settled = [one.rss_mib for one in heard.samples if one.at_ns >= began.at_ns]
    tenth = max(1, len(settled) // 10)
    growth = median(settled[-tenth:]) - median(settled[tenth : 2 * tenth] or settled[:tenth])
    return [
        _row(f"{name}, frames read a second", pace, "1/s", PER_SECOND, None) | {"ratio": pace / PER_SECOND},
        _row(f"{name}, the adapter's own CPU", _cores(alone), "cores", CPU_MAX, CPU_MAX),
        _row(f"{name}, CPU of adapter, service and bus", _cores(heard), "cores", None, None),
        _row(f"{name}, memory after {heard.frames:,}", last.rss_mib, "MiB", MIB_MAX, MIB_MAX),
        _row(f"{name}, memory gained by the last tenth since the second", growth, "MiB", None, GROWTH_MIB_MAX),
    ]


def _began(heard: RunResult) -> Sample:
    return next(one for one in heard.samples if one.at_ns >= heard.samples[0].at_ns + WARM_UP_S * 1e9)


def _cores(heard: RunResult) -> float:
    began, last = _began(heard), heard.samples[-1]
    return (last.cpu_ns - began.cpu_ns) / (last.at_ns - began.at_ns)


def _paced(tongue: VenueFormat) -> list[Row]:
    heard = _run(tongue, PACED, lambda _: time.sleep(PACED_S))
    name = f"{_name(tongue)} at {PACED:,} frames a second"
    read = _p95_us(heard.since_read_ns)
    told = [_row(f"{name}, socket read to published, p95", read, "us", PUBLISHED_P95_US_MAX, PUBLISHED_P95_US_MAX)]
    if tongue.config_table in STAMPED_IN_US:
        told.append(
            _row(f"{name}, sent by the venue to published, p95", _p95_us(heard.since_sent_ns), "us", None, None)
        )
    return told


def _p95_us(spans: list[int]) -> float:
    return quantiles(spans, n=20)[18] / 1e3


def _cut(tongue: VenueFormat) -> Row:
    spans: list[float] = []

    def cut(venue: FakeVenueProcess) -> None:
        for _ in range(CUTS):
            venue.disconnect()
            accepted.append(_accepted(venue))
            time.sleep(AFTER_CUT_S)

    accepted: list[int] = []
    heard = _run(tongue, CUT_PER_SECOND, cut)
    for at_ns in accepted:
        good = next((one for one in heard.snapshots_at_ns if one > at_ns > 0), None)
        spans.append((good - at_ns) / 1e6 if good is not None else float("inf"))
    name = f"{_name(tongue)}, the worst of {CUTS} cuts, TCP accept to first good book"
    return _row(name, max(spans), "ms", RECOVERY_MS_MAX, RECOVERY_MS_MAX)


def _accepted(venue: FakeVenueProcess) -> int:
    deadline_s = time.monotonic() + AWAY_S_MAX
    while (at_ns := venue.accepted_at_ns()) == 0:
        if time.monotonic() > deadline_s:
            sys.exit(f"the adapter did not come back within {AWAY_S_MAX} s")
        time.sleep(0.05)
    return at_ns


def _name(tongue: VenueFormat) -> str:
    return tongue.symbol.partition(":")[0]


def _row(name: str, value: float, unit: str, reference: float | None, bound: float | None) -> Row:
    ratio = None if reference is None or bound is None else value / reference
    text = None if bound is None else f"<= {bound:g} {unit}"
    holds = bound is None or value <= bound
    return {
        "name": name, "value": value, "unit": unit, "reference": reference, "ratio": ratio, "bound": text,
        "holds": holds
    }  # fmt: skip


def _run(
    tongue: VenueFormat, per_second: int, meanwhile: Callable[[FakeVenueProcess], None], *, is_alone: bool = False
) -> RunResult:
    """Let the adapter hear the venue, each on a core of its own where there are two."""
    cores = sorted(os.sched_getaffinity(0))
    ours, theirs = (cores[0], cores[1]) if len(cores) > 1 else (None, None)
    venue = FakeVenueProcess(tongue, per_second=per_second, core=theirs)
    line, far = SPAWN.Pipe()
    adapter = SPAWN.Process(
        target=_alone if is_alone else _adapter, args=(far, tongue.config_table, venue.port, ours), daemon=True
    )
    adapter.start()
    try:
        if not line.poll(READY_S_MAX) or line.recv() != "ready":
            sys.exit(f"{tongue.config_table}: no book within {READY_S_MAX} s")
        meanwhile(venue)
        line.send("end")
        if not line.poll(READY_S_MAX):
            sys.exit(f"{tongue.config_table}: the adapter did not end")
        heard: RunResult = line.recv()
        adapter.join()
        venue.close()
        return heard
    finally:
        adapter.kill()


def _adapter(line: Connection, table: str, port: int, core: int | None) -> None:
    pin_to_core(core)
    configure("bench", level=LogLevel.ERROR)
    tongue, clock, metrics = VENUE_FORMATS[table], SystemClock(), Metrics("market_data", "bench")
    config = _config(table, tongue, port)
    dialect = create_adapter(config, lambda _: b"")
    service = MarketDataService(None, OrderBookService([book_settings(config, dialect, 10_000)], metrics, random))
    feed = VenueFeed(dialect, config, clock, random, metrics)
    with tempfile.TemporaryDirectory(prefix="xb-") as folder:
        lines = StreamBindings(component="market_data", publishes=(MARKET, BOOKS, HEALTH))
        bus = _Watched(open_bus(Path(folder), lines, clock=clock, metrics=metrics, log=logger()), line)
        seat = LoopContext(
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
            drain_ms_max=0,
        )
        run_async(seat)
        bus.close()
    frames = metrics.counter("market_frames_total", "Frames of a venue's streams", ("venue",)).labels(dialect.venue)
    bus.tell(int(frames._value.get()))  # noqa: SLF001 -- what has been counted can be read nowhere else
    line.close()


def _alone(line: Connection, table: str, port: int, core: int | None) -> None:
    """Let nobody stand behind the adapter: everything else that is done is left out of its figure."""
    pin_to_core(core)
    configure("bench", level=LogLevel.ERROR)
    tongue, metrics = VENUE_FORMATS[table], Metrics("market_data", "bench")
    config = _config(table, tongue, port)
    sink = _Sink(line)
    feed = VenueFeed(create_adapter(config, lambda _: b""), config, SystemClock(), random, metrics)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(sink.hear(feed))
    line.send(RunResult(sink.samples, [], [], [], sink.frames))


class _Sink:
    """Counts, and looks at the clocks now and then."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        self.frames = 0
        self.samples: list[Sample] = []

    async def hear(self, feed: VenueFeed) -> None:
        hearing = asyncio.create_task(feed.run(self._take))
        while not self._line.poll():
            await asyncio.sleep(SAMPLE_S)
            self.samples.append(Sample(time.monotonic_ns(), time.process_time_ns(), _rss_mib(), self.frames))
        hearing.cancel()
        await asyncio.wait([hearing])
        await feed.close()

    def _take(self, said: FeedMessage) -> None:
        if isinstance(said, DecodedFrame):
            if self.frames == 0:
                self._line.send("ready")
            self.frames += 1


def _config(table: str, tongue: VenueFormat, port: int) -> VenueConfig:
    """Take what is shipped; listen to one book alone."""
    shipped = tomllib.loads(CONFIG.read_text())["market_data"][table]
    told = {
        "symbols": (tongue.symbol,),
        "stream_url": f"ws://127.0.0.1:{port}",
        "rest_url": f"http://127.0.0.1:{port}",
        "quotes": False,
        "trades": False,
        "audit_every_s": 0,
    }
    return TABLES[table].model_validate(shipped | told)


class _Watched:
    """The process's end of the bus, and a note of what was said when."""

    def __init__(self, bus: Any, line: Connection) -> None:  # noqa: ANN401 -- every method but one is passed on
        self._bus, self._line = bus, line
        self._say = bus.publish
        self._samples: list[Sample] = []
        self._read: list[int] = []
        self._sent: list[int] = []
        self._snapshots: list[int] = []
        self._count = self._sampled_at_ns = 0
        self._is_ready = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- as above
        return getattr(self._bus, name)

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Pass it on, and look at the clock behind it."""
        self._say(stream, body, event_at_ns, received_at_ns)
        kind = type(body)
        if kind is BookDelta:
            self._count += 1
            # Every fourth will do, and no more than so many: what is kept here is no part of what is measured.
            if self._count % 4 == 0 and len(self._read) < SPANS_MAX:
                now_ns = time.time_ns()
                self._read.append(now_ns - body.received_at_ns)
                self._sent.append(now_ns - body.venue_at_ns)
        elif kind is BookSnapshot:
            self._snapshots.append(time.monotonic_ns())
            if not self._is_ready:
                self._is_ready = True
                self._line.send("ready")

    def is_over(self) -> bool:
        """Take a sample now and then; say whether this was all."""
        now_ns = time.monotonic_ns()
        if self._is_ready and now_ns - self._sampled_at_ns >= SAMPLE_S * 1e9:
            self._sampled_at_ns = now_ns
            self._samples.append(Sample(now_ns, time.process_time_ns(), _rss_mib(), self._count))
        return self._line.poll()

    def tell(self, frames: int) -> None:
        """Say what was seen."""
        self._line.send(RunResult(self._samples, self._read, self._sent, self._snapshots, frames))


def _rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024


if __name__ == "__main__":
    for one in rows():
        print(one)
