"""A full disk ends the process that needs it before anything is acknowledged; with space it continues."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.runtime.config.secrets import create_seal_key
from components.runtime.config.settings import load_settings
from components.runtime.paths import Paths
from components.xtrader.drills.order_checker import check_orders
from tests.support.disk_limits import fill, limit_file_size, read_only, small_disk
from tests.support.eventually import eventually
from tests.support.journal_records import fill_count
from tests.support.running_system import RunningSystem, running_system
from tests.support.startup_failures import IsolatedInstallation, isolated_installation

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(180)]

COMPONENTS = ("sandbox", "market_data", "signals", "risk", "execution")
WRITERS = ("execution", "risk")
READY_S_MAX = 60
BACK_S_MAX = 40
ROOM_BYTES = 2_000
"""Enough for a few more records: the failure comes during trading, not at once."""


@dataclass(frozen=True)
class Trading:
    """A whole system that trades."""

    up: RunningSystem
    places: Paths

    def trades_again(self) -> None:
        """Wait for fills after this moment, with every component ready."""
        for name in COMPONENTS:
            eventually(lambda name=name: self.up.is_restarted(name, killed=0), within_s=READY_S_MAX)  # type: ignore[misc]
        before = fill_count(self.places)
        eventually(lambda: fill_count(self.places) > before + 1, within_s=BACK_S_MAX)

    def ends_with(self, code: int, name: str) -> int:
        """Return how often a component has exited with this code."""
        return self.up.stderr_text().count(f"{name} exited (exit code {code}); restarting")

    def log(self, name: str) -> str:
        """Return what a component wrote to its log."""
        return (self.places.state / "logs" / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    with running_system(tmp_path_factory.mktemp("x")) as up:
        yield Trading(up, load_settings(environ=up.environment).paths)


@pytest.fixture
def stage(tmp_path: Path) -> IsolatedInstallation:
    made = isolated_installation(tmp_path)
    create_seal_key(made.paths)
    return made


@pytest.mark.parametrize("name", [*WRITERS, "xtrader"])
def test_a_file_where_the_state_belongs_is_reported(stage: IsolatedInstallation, name: str) -> None:
    stage.paths.state.parent.write_text("")
    ended = stage.run(name)
    assert (ended.code, len(ended.messages)) == (74, 1), ended
    assert str(stage.paths.state) in ended.messages[0]


@pytest.mark.parametrize("name", [*WRITERS, "xtrader"])
def test_a_state_that_may_not_be_written_is_reported(stage: IsolatedInstallation, name: str) -> None:
    stage.paths.state.mkdir(parents=True)
    with read_only(stage.paths.state):
        ended = stage.run(name)
    assert (ended.code, len(ended.messages)) == (74, 1), ended
    assert str(stage.paths.state) in ended.messages[0]


@pytest.mark.parametrize("name", [*WRITERS, "xtrader"])
def test_the_exit_code_is_the_same_where_the_reason_cannot_be_written(stage: IsolatedInstallation, name: str) -> None:
    stage.paths.state.parent.write_text("")
    assert stage.run(name, errors_to="/dev/full").code == 74


@pytest.mark.parametrize("name", WRITERS)
def test_a_process_without_room_stops_and_goes_on_once_there_is_some(trading: Trading, name: str) -> None:
    trading.trades_again()
    pid = (trading.up.manifest(name) or {})["pid"]
    journal = max(trading.places.journal(name).glob("*.log"))
    limit_file_size(pid, journal.stat().st_size + ROOM_BYTES)
    eventually(lambda: trading.ends_with(74, name) == 1, within_s=BACK_S_MAX)
    (lines,) = (line for line in trading.log(name).splitlines() if line.startswith("error: "))
    assert str(journal) in lines
    assert "No space left on device" in lines
    trading.trades_again()


def test_what_stopped_for_want_of_room_lost_nothing(trading: Trading) -> None:
    result = trading.up.stop()
    assert result["positions"] == result["venue_positions"], result
    assert check_orders(trading.places)[0] == []


def test_a_full_disk_stops_all_who_write_and_room_lets_them_go_on(tmp_path: Path) -> None:
    with small_disk(tmp_path / "var", kilobytes=4_096), running_system(tmp_path) as up:
        trading = Trading(up, load_settings(environ=up.environment).paths)
        trading.trades_again()
        filler = fill(trading.places.state)
        eventually(lambda: len(codes(up)) > 2, within_s=BACK_S_MAX)
        filler.unlink()
        trading.trades_again()
        result = up.stop()
        assert set(codes(up)) == {74}, up.stderr_text()
        assert result["positions"] == result["venue_positions"], result
        assert check_orders(trading.places)[0] == []


def codes(up: RunningSystem) -> list[int]:
    """Return the exit codes of the child processes."""
    return [int(code) for code in re.findall(r"exited \(exit code (\d+)\)", up.stderr_text())]
