"""Each process that is killed while trading is restarted; no order is duplicated or lost."""

from pathlib import Path

import pytest

from components.runtime.config.settings import load_settings
from components.xtrader.drills.order_checker import check_orders
from tests.support.eventually import eventually
from tests.support.journal_records import fill_count
from tests.support.running_system import running_system

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(240)]

KILLED = ("market_data", "signals", "risk", "execution", "sandbox")
RESTART_S_MAX = 40


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_process_is_restarted_and_no_order_is_duplicated_or_lost(name: str, tmp_path: Path) -> None:
    with running_system(tmp_path) as up:
        paths = load_settings(environ=up.environment).paths
        eventually(lambda: fill_count(paths) >= 3, within_s=60)
        killed = up.kill(name)
        eventually(lambda: up.is_restarted(name, killed), within_s=RESTART_S_MAX)
        before = fill_count(paths)
        eventually(lambda: fill_count(paths) > before, within_s=RESTART_S_MAX)
        result = up.stop()
    assert result["positions"] == result["venue_positions"], f"{result}\n{up.stderr_text()}"
    assert result["restarts"].get(name) == 1, result
    assert check_orders(paths)[0] == []
