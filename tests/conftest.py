"""Options that every test may look at, and which of them there is something to play for."""

import pytest

from tests.support.real_recordings import VARIABLE, real_folder

DESELECTED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write golden files anew; review the diff")


@pytest.fixture
def rewrites_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are written instead of compared."""
    return bool(request.config.getoption("--rewrite-golden", default=False))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the tests on real recordings out where there are none."""
    if real_folder() is not None:
        return
    without = [item for item in items if item.get_closest_marker("recordings") is not None]
    config.stash[DESELECTED] = len(without)
    config.hook.pytest_deselected(items=without)
    items[:] = [item for item in items if item not in without]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which recordings were played, so that a proof without the real ones does not look like one with them."""
    folder, count = real_folder(), config.stash.get(DESELECTED, 0)
    text = (
        f"real ones of {folder}"
        if folder
        else f"only the shipped ones; {VARIABLE} names no folder, {count} tests left out"
    )
    terminalreporter.write_line(f"recordings: {text}")
