"""Each process killed while trading comes back by itself; nothing is doubled, nothing is lost."""

from pathlib import Path

import pytest

from components.runtime.config.settings import load_settings
from components.xtrader.drills.order_checker import check_orders
from tests.support.eventually import eventually
from tests.support.journal_records import fill_count
from tests.support.running_system import running_system

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(240)]


KILLED = ("market_data", "signals", "risk", "execution", "sandbox")


BACK_S_MAX = 40


@pytest.mark.parametrize("name", KILLED)
def test_a_killed_process_comes_back_and_no_order_is_doubled_or_lost(name: str, tmp_path: Path) -> None:
    with running_system(tmp_path) as up:
        places = load_settings(environ=up.environment).paths
        eventually(lambda: fill_count(places) >= 3, within_s=60)
        killed = up.kill(name)
        eventually(lambda: up.is_restarted(name, killed), within_s=BACK_S_MAX)
        before = fill_count(places)
        eventually(lambda: fill_count(places) > before, within_s=BACK_S_MAX)
        result = up.stop()
    assert result["positions"] == result["venue_positions"], f"{result}\n{up.stderr_text()}"
    assert result["restarts"].get(name) == 1, result
    assert check_orders(places)[0] == []
