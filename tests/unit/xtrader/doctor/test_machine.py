"""Checks of the machine: Python, disk, clock and ports."""

import socket
from pathlib import Path

import pytest

from components.runtime.paths import Paths
from components.xtrader.doctor import machine
from components.xtrader.doctor.finding import Finding, Severity
from tests.support.order_records import paths_at
from tests.support.sample_messages import AT_NS

NOW_NS = 1_800_000_000_000_000_000
GIGABYTE = 1_000_000_000


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_at(tmp_path)


def only(findings: list[Finding]) -> Finding:
    (found,) = findings
    return found


def test_an_old_python_is_a_blocker() -> None:
    assert machine.check_python((3, 10)).is_blocker
    assert not machine.check_python((3, 11)).is_blocker


@pytest.mark.parametrize(
    ("free_bytes", "severity"),
    [
        (100 * GIGABYTE, Severity.OK),
        (GIGABYTE // 2, Severity.WARNING),
        (1_000_000, Severity.BLOCKER),
    ],
)
def test_free_space_is_compared_with_both_limits(free_bytes: int, severity: Severity) -> None:
    assert machine.check_free_space(Path("/x"), free_bytes).severity is severity


def test_a_missing_state_folder_is_checked_by_its_nearest_ancestor(paths: Paths) -> None:
    assert machine.nearest_existing(paths.state) == paths.root
    assert not any(one.is_blocker for one in machine.check_disk(paths.state))
    assert list(paths.root.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_blocker() -> None:
    found = only(list(machine.check_disk(Path("/proc/xtrader"))))
    assert found.is_blocker
    assert "runtime.state_dir" in found.fix


def test_a_clock_is_compared_with_the_calendar_the_journals_and_the_kernel() -> None:
    assert machine.check_clock(0, None, 0).is_blocker
    assert machine.check_clock(NOW_NS, NOW_NS + 1, 0).severity is Severity.WARNING
    assert machine.check_clock(NOW_NS, None, machine.CLOCK_UNSYNCHRONISED).severity is Severity.WARNING
    assert machine.check_clock(NOW_NS, AT_NS, 0).severity is Severity.OK


def test_a_held_port_names_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        number = held.getsockname()[1]
        found = machine.check_port("127.0.0.1", number)
    assert "held by process" in found.found
    assert machine.check_port("127.0.0.1", number).severity is Severity.OK
