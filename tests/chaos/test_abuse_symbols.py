"""A symbol that the venue or risk does not know is named, and the others are traded."""

import json
from pathlib import Path

import httpx
import pytest

from components.contracts.decisions import CheckName, Decision
from components.contracts.values import Symbol
from components.runtime.config.settings import load_settings
from components.runtime.process.manifest import read_manifest
from tests.support.component_process import ComponentProcess, page_url
from tests.support.eventually import eventually
from tests.support.journal_records import decision_records, fill_count
from tests.support.machine import scaled
from tests.support.running_system import running_system
from tests.support.sandbox_process import running_sandbox

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]

WITHIN_S = 40
UNKNOWN = Symbol("ZZZZ")


def test_a_symbol_that_the_venue_never_quotes_is_named_and_does_not_hold_the_others_up(tmp_path: Path) -> None:
    with running_sandbox("--symbols", "AAPL") as venue:
        overrides = {
            "XTRADER__MARKET_DATA__ALPACA__STREAM_URL": venue.endpoints["data_url"],
            "XTRADER__MARKET_DATA__SYMBOLS": json.dumps(["AAPL", UNKNOWN]),
            "XTRADER__MARKET_DATA__FIRST_QUOTE_TIMEOUT_MS": "2000",
            "APCA_API_KEY_ID": venue.endpoints["key"],
            "APCA_API_SECRET_KEY": venue.endpoints["secret"],
        }
        with ComponentProcess("market_data", tmp_path, overrides) as market_data:
            eventually(lambda: unmet(market_data) == [f"first quote of {UNKNOWN}"], within_s=WITHIN_S)
            eventually(market_data.is_ready, within_s=WITHIN_S)
            assert market_data.terminate() == 0


def test_a_symbol_that_risk_does_not_allow_is_refused_by_name_and_the_others_trade(tmp_path: Path) -> None:
    allowed = ["AAPL", "MSFT", "NVDA", "SPY", UNKNOWN]
    with running_system(tmp_path, overrides={"XTRADER__RISK__LIMITS__SYMBOLS": json.dumps(allowed)}) as up:
        places = load_settings(environ=up.environment).paths

        def refused() -> list[Decision]:
            decided = (one for one in decision_records(places) if isinstance(one, Decision))
            return [one for one in decided if CheckName.SYMBOL_ALLOWED in {check.name for check in one.failed_checks}]

        eventually(lambda: refused() and fill_count(places) > 0, within_s=WITHIN_S, every_s=0.1)
        assert {one.intent.symbol for one in refused()} == {"TSLA"}
        result = up.stop()
    assert result["ok"], f"{result}\n{up.stderr_text()}"
    assert result["decisions"]["refused"]["symbol_allowed"] >= 1


def unmet(component: ComponentProcess) -> list[str] | None:
    """Return what readiness waits for; None while the process does not answer."""
    manifest = read_manifest(component.paths, component.name)
    if manifest is None:
        return None
    found: list[str] = httpx.get(page_url(manifest, "readyz"), timeout=scaled(2)).json()["unmet"]
    return found
