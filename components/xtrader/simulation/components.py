"""How each of the four is made in a simulation: by its own wiring page, as far as that page needs no real venue."""

from collections.abc import Callable
from typing import Final

from components.contracts.topics import COMMANDS, MARKET, ORDERS, POSITIONS, RISK_REQUESTS
from components.contracts.values import StrategyId, TimeInForce, Venue
from components.execution.config import ExecutionConfig
from components.execution.wiring import build_service, replay
from components.market_data.wiring import market_data
from components.risk.wiring import risk
from components.runtime.process import Process
from components.signals.config import SignalsConfig
from components.signals.core.identity import RANDOM_BYTES, new_run_id
from components.signals.core.intents import SignalSettings
from components.signals.core.model import Model
from components.signals.service import SignalsService
from components.xtrader.simulation.chance import Randomness
from components.xtrader.simulation.process import SimulatedProcess

TIMES_IN_FORCE: Final = (TimeInForce.IOC, TimeInForce.DAY)

Wiring = Callable[[SimulatedProcess], None]


def node_wirings(model: Model, randomness: Randomness) -> dict[str, Wiring]:
    """Name the page of each."""
    return {
        "market_data": market_data,
        "signals": lambda process: _signals(process, model, randomness),
        "risk": risk,
        "execution": _execution,
    }


def _execution(process: SimulatedProcess) -> None:
    journal = process.open_journal()
    process.execution_state = replay(journal.records())
    service = build_service(process, process.config(ExecutionConfig), process.execution_state)
    process.run(service, serves=[COMMANDS], journal=journal, journal_stream=ORDERS)


def _signals(process: Process, model: Model, randomness: Randomness) -> None:
    config = process.config(SignalsConfig)
    # What does not fill at once: one life lets it go, the next lets it stand until risk has it cancelled.
    strategy = config.strategy.model_copy(update={"time_in_force": randomness.random.choice(TIMES_IN_FORCE)})
    terms = SignalSettings(
        strategy=StrategyId(config.strategy_id),
        run_id=new_run_id(process.clock.now_ns(), randomness.random.randbytes(RANDOM_BYTES)),
        quote_age_ms_max=config.quote_age_ms_max,
        signal_ttl_ms=config.signal_ttl_ms,
        judge_ms_max=config.judge_ms_max,
        symbols_max=config.symbols_max,
        venue=Venue(config.venue),
    )
    service = SignalsService(model, strategy, terms, process.metrics)
    process.run(service, subscribes={MARKET: None, POSITIONS: None}, requests=[RISK_REQUESTS])
