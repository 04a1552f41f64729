"""A jump of risk's wall clock is detected at once; no order passes until the clock is corrected."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from components.contracts.decisions import CauseRaised, Decision
from components.contracts.signals import Purpose
from components.contracts.trading import Cause
from components.runtime.config.secrets import create_seal_key
from components.runtime.paths import Paths
from tests.support.clock_jumps import RiskWithAdjustedClock
from tests.support.component_process import ComponentProcess
from tests.support.eventually import eventually
from tests.support.journal_records import active_causes, decision_records, fill_count, raised_causes
from tests.support.sandbox_process import running_sandbox

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(120)]

WITHIN_S = 40
SUSPECT_MS = 1_000


@dataclass(frozen=True)
class Trading:
    """The four processes against a venue, risk with a clock that can be set."""

    risk: RiskWithAdjustedClock
    places: Paths

    def trades(self) -> None:
        """Wait until no cause is active and an order was filled since."""
        eventually(lambda: not active_causes(decision_records(self.places)), within_s=WITHIN_S, every_s=0.1)
        before = fill_count(self.places)
        eventually(lambda: fill_count(self.places) > before, within_s=WITHIN_S, every_s=0.1)


@pytest.fixture(scope="module")
def trading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trading]:
    state = tmp_path_factory.mktemp("x")
    with running_sandbox() as venue, ExitStack() as held:
        overrides = {
            "XTRADER__MARKET_DATA__ALPACA__STREAM_URL": venue.endpoints["data_url"],
            "XTRADER__EXECUTION__ALPACA__TRADING_URL": venue.endpoints["trading_url"],
            "XTRADER__EXECUTION__ALPACA__STREAM_URL": venue.endpoints["stream_url"],
            "XTRADER__RISK__TIMING__CLOCK_SUSPECT_MS": str(SUSPECT_MS),
            "APCA_API_KEY_ID": venue.endpoints["key"],
            "APCA_API_SECRET_KEY": venue.endpoints["secret"],
        }
        risk = RiskWithAdjustedClock(state, overrides)
        create_seal_key(risk.paths)
        others = [ComponentProcess(name, state, overrides) for name in ("execution", "market_data", "signals")]
        for component in (*others, risk):
            component.start()
            held.callback(component.kill)
        yield Trading(risk, risk.paths)


@pytest.mark.parametrize("ahead_ms", [10_000, -10_000], ids=["ahead", "back"])
def test_a_clock_that_jumps_is_suspected_and_set_right_it_is_trusted_again(trading: Trading, ahead_ms: int) -> None:
    trading.trades()
    since = len(decision_records(trading.places))
    trading.risk.set_clock(ahead_ms)
    eventually(
        lambda: Cause.CLOCK_SUSPECT in raised_causes(decision_records(trading.places)[since:]), within_s=WITHIN_S
    )
    eventually(lambda: len(decisions_since_jump(trading, since)) > 2, within_s=WITHIN_S, every_s=0.1)
    trading.risk.set_clock(0)
    doubtful = (one for one in decisions_since_jump(trading, since) if one.inputs.causes)
    assert not [one for one in doubtful if one.allowed and one.intent.purpose is Purpose.ENTRY]
    trading.trades()
    assert trading.risk.process.poll() is None


def decisions_since_jump(trading: Trading, since: int) -> list[Decision]:
    """Return the decisions of risk after it had detected the jump."""
    records = decision_records(trading.places)[since:]
    at = next(n for n, one in enumerate(records) if isinstance(one, CauseRaised) and one.cause is Cause.CLOCK_SUSPECT)
    return [one for one in records[at:] if isinstance(one, Decision)]
