"""A process stopped for longer than the heartbeat timeout is detected; nothing is duplicated or lost."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from components.contracts.streams import STREAMS
from components.contracts.trading import Cause
from components.runtime.clock import SystemClock
from components.runtime.config.settings import load_settings
from components.runtime.paths import Paths
from components.xtrader.drills.order_checker import check_orders
from tests.support.eventually import eventually
from tests.support.journal_records import active_causes, decision_records, fill_count, raised_causes
from tests.support.running_system import RunningSystem, running_system

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(180)]

COMPONENTS = ("sandbox", "market_data", "signals", "risk", "execution")
SILENCE_NS_MAX = max(stream.heartbeat_timeout_ms for stream in STREAMS.values()) * 1_000_000
NOTICED_S_MAX = 20
BACK_S_MAX = 40
OVERRIDES = {"XTRADER__RISK__TIMING__CLOCK_SUSPECT_MS": "1000"}

monotonic_ns = SystemClock().monotonic_ns


@dataclass(frozen=True)
class Trading:
    """A whole system that trades, and the length of its log when the test interfered."""

    up: RunningSystem
    places: Paths

    def causes_since(self, count: int) -> set[Cause]:
        """Return the causes that risk has raised since its log had this many records."""
        return raised_causes(decision_records(self.places)[count:])

    def has_printed(self, line: str) -> bool:
        """Return whether `up` has printed this."""
        return line in self.up.stderr_text()


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    with running_system(tmp_path_factory.mktemp("x"), overrides=OVERRIDES) as up:
        yield Trading(up, load_settings(environ=up.environment).paths)


@contextmanager
def paused(up: RunningSystem, name: str) -> Iterator[None]:
    """Stop a process at any point for longer than any heartbeat timeout."""
    pid = int((up.manifest(name) or {})["pid"])
    os.kill(pid, signal.SIGSTOP)
    stopped_at_ns = monotonic_ns()
    try:
        yield
        eventually(lambda: monotonic_ns() - stopped_at_ns > SILENCE_NS_MAX, within_s=NOTICED_S_MAX)
    finally:
        os.kill(pid, signal.SIGCONT)


NOTICED: dict[str, Callable[[Trading, int], object]] = {
    "sandbox": lambda trading, since: trading.causes_since(since) & {Cause.DATA_STALE, Cause.VENUE_DEGRADED},
    "market_data": lambda trading, since: trading.causes_since(since) & {Cause.DATA_STALE, Cause.BUS_GAP},
    "execution": lambda trading, since: trading.causes_since(since) & {Cause.EXECUTION_DOWN},
    "risk": lambda trading, _: trading.has_printed("signals is not ready: positions: heartbeat timeout"),
    "signals": lambda trading, _: trading.has_printed("signals is not ready: no response"),
}


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_pause_is_noticed_and_trading_goes_on_by_itself(trading: Trading, name: str) -> None:
    everybody_is_ready(trading.up)
    since = len(decision_records(trading.places))
    with paused(trading.up, name):
        eventually(lambda: NOTICED[name](trading, since), within_s=NOTICED_S_MAX, every_s=0.1)
    everybody_is_ready(trading.up)
    before = fill_count(trading.places)
    eventually(lambda: fill_count(trading.places) > before, within_s=BACK_S_MAX, every_s=0.1)
    eventually(lambda: not active_causes(decision_records(trading.places)), within_s=BACK_S_MAX, every_s=0.1)


def test_after_the_pauses_the_same_processes_agree_with_the_venue(trading: Trading) -> None:
    result = trading.up.stop()
    assert result["restarts"] == {}, trading.up.stderr_text()
    assert result["positions"] == result["venue_positions"], result
    assert check_orders(trading.places)[0] == []


def everybody_is_ready(up: RunningSystem) -> None:
    for name in COMPONENTS:
        eventually(lambda name=name: up.is_restarted(name, killed=0), within_s=BACK_S_MAX, every_s=0.1)  # type: ignore[misc]
