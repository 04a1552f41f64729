"""The counters of the bus and their flush to the metrics."""

from components.contracts.streams import MARKET
from components.runtime.bus.codec import FrameDefect, InvalidFrame
from components.runtime.bus.counters import LOG_INTERVAL_NS, BusCounters, StreamCounters
from components.runtime.metrics import Metrics
from tests.support.captured_log import CapturedLog
from tests.support.manual_clock import ManualClock


def make_counters() -> tuple[StreamCounters, Metrics, ManualClock, CapturedLog]:
    metrics, clock, log = Metrics("risk", "1"), ManualClock(), CapturedLog()
    return BusCounters([MARKET], metrics, clock, log).of(MARKET), metrics, clock, log


def exposed(metrics: Metrics, name: str, labels: str = 'stream="market"') -> float:
    start = f"{name}{{{labels}}} "
    lines = [line for line in metrics.exposition().decode().splitlines() if line.startswith(start)]
    return float(lines[0].removeprefix(start))


def test_counters_without_a_loss_are_exposed_as_zero() -> None:
    _, metrics, _, _ = make_counters()
    assert exposed(metrics, "xtrader_bus_gaps_total") == 0


def test_a_gap_is_in_the_metrics_at_once() -> None:
    counters, metrics, _, _ = make_counters()
    counters.count_gap(3)
    assert exposed(metrics, "xtrader_bus_gaps_total") == 1
    assert exposed(metrics, "xtrader_bus_missing_total") == 3


def test_counts_are_flushed_to_the_metrics_exactly_once() -> None:
    counters, metrics, _, _ = make_counters()
    counters.received += 5
    counters.flush()
    counters.flush()
    counters.received += 1
    counters.flush()
    assert exposed(metrics, "xtrader_bus_received_total") == 6
    assert counters.counts()["received"] == 6


def test_every_invalid_frame_is_counted_by_its_defect_and_logged_once_a_minute() -> None:
    counters, metrics, clock, log = make_counters()
    for _ in range(3):
        counters.count_invalid_frame(InvalidFrame(FrameDefect.VERSION, "schema version 9"))
    assert exposed(metrics, "xtrader_bus_invalid_frames_total", 'defect="version",stream="market"') == 3
    assert len(log.lines) == 1
    clock.advance_ms(LOG_INTERVAL_NS / 1e6)
    counters.count_invalid_frame(InvalidFrame(FrameDefect.VERSION, "schema version 9"))
    facts = {"stream": "market", "defect": "version", "detail": "schema version 9", "count": 3}
    assert log.lines[1] == ("warning", "invalid_frame", facts)
    assert counters.counts()["invalid_frames"] == 4
