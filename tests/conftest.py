"""Options of the tests, deadlines scaled to the machine, and processes that tests left running."""

import pytest
from hypothesis import HealthCheck, settings

from benchmarks.recordings import RECORDINGS_VARIABLE, real_recordings_folder
from tests.support.leftovers import Leftovers
from tests.support.machine import scaled

PROCESSES = {"integration", "e2e", "chaos", "recordings"}
"""Markers of tests that wait for sockets, disks and other processes."""
DESELECTED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write golden files again; review the diff")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Leftovers())
    # An example is bounded by the timeout of its test, not by a wall time of its own that a loaded machine exceeds.
    settings.register_profile("tests", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("tests")


@pytest.fixture
def rewrites_golden(request: pytest.FixtureRequest) -> bool:
    """Return whether golden files are written instead of compared."""
    return bool(request.config.getoption("--rewrite-golden", default=False))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Scale the deadlines of slow tests to this machine; deselect those on real recordings where there are none."""
    bound_s = float(config.getini("timeout"))
    for item in items:
        if PROCESSES & {marker.name for marker in item.iter_markers()}:
            bound = item.get_closest_marker("timeout")
            item.add_marker(pytest.mark.timeout(scaled(bound.args[0] if bound else bound_s)), append=False)
    if real_recordings_folder() is not None:
        return
    without = [item for item in items if item.get_closest_marker("recordings") is not None]
    config.stash[DESELECTED] = len(without)
    config.hook.pytest_deselected(items=without)
    items[:] = [item for item in items if item not in without]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print which recordings were used, so that a run without the real ones is recognised."""
    folder, count = real_recordings_folder(), config.stash.get(DESELECTED, 0)
    text = (
        f"real ones of {folder}"
        if folder
        else f"only the shipped ones; {RECORDINGS_VARIABLE} names no folder, {count} tests left out"
    )
    terminalreporter.write_line(f"recordings: {text}")
