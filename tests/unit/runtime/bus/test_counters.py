"""What the bus counts."""

from components.contracts.streams import MARKET
from components.runtime.bus.codec import FrameDefect, InvalidFrame
from components.runtime.bus.counters import LOG_INTERVAL_NS, BusCounters, StreamCounters
from components.runtime.metrics import Metrics
from tests.support.captured_log import CapturedLog
from tests.support.manual_clock import ManualClock


def a_tally() -> tuple[StreamCounters, Metrics, ManualClock, CapturedLog]:
    metrics, clock, log = Metrics("risk", "1"), ManualClock(), CapturedLog()
    return BusCounters([MARKET], metrics, clock, log).of(MARKET), metrics, clock, log


def exposed(metrics: Metrics, name: str, labels: str = 'stream="market"') -> float:
    start = f"{name}{{{labels}}} "
    lines = [line for line in metrics.exposition().decode().splitlines() if line.startswith(start)]
    return float(lines[0].removeprefix(start))


def test_nothing_lost_is_said_as_zero() -> None:
    _, metrics, _, _ = a_tally()
    assert exposed(metrics, "xtrader_bus_gaps_total") == 0


def test_a_gap_is_in_the_metrics_at_once() -> None:
    tally, metrics, _, _ = a_tally()
    tally.count_gap(3)
    assert exposed(metrics, "xtrader_bus_gaps_total") == 1
    assert exposed(metrics, "xtrader_bus_missing_total") == 3


def test_what_passes_is_moved_into_the_metrics_once_and_only_once() -> None:
    tally, metrics, _, _ = a_tally()
    tally.received += 5
    tally.flush()
    tally.flush()
    tally.received += 1
    tally.flush()
    assert exposed(metrics, "xtrader_bus_received_total") == 6
    assert tally.counts()["received"] == 6


def test_every_refused_frame_is_counted_by_its_flaw_and_named_once_a_minute() -> None:
    tally, metrics, clock, log = a_tally()
    for _ in range(3):
        tally.count_invalid_frame(InvalidFrame(FrameDefect.VERSION, "schema version 9"))
    assert exposed(metrics, "xtrader_bus_invalid_frames_total", 'defect="version",stream="market"') == 3
    assert len(log.lines) == 1
    clock.advance_ms(LOG_INTERVAL_NS / 1e6)
    tally.count_invalid_frame(InvalidFrame(FrameDefect.VERSION, "schema version 9"))
    facts = {"stream": "market", "defect": "version", "detail": "schema version 9", "count": 3}
    assert log.lines[1] == ("warning", "invalid_frame", facts)
    assert tally.counts()["invalid_frames"] == 4
