"""How each of the four is made in a simulation: by its own wiring page, as far as that page needs no real venue."""

from collections.abc import Callable
from typing import Final

from components.contracts.topics import COMMANDS, JUDGE, MARKET, ORDERS, POSITIONS
from components.contracts.values import StrategyId, TimeInForce, Venue
from components.execution.config import ExecutionConfig
from components.execution.wiring import replay, service_of
from components.market_data.wiring import market_data
from components.risk.wiring import risk
from components.runtime.process import Process
from components.signals.config import SignalsConfig
from components.signals.core.identity import CHANCE_BYTES, name_epoch
from components.signals.core.intents import Terms
from components.signals.core.model import Model
from components.signals.service import SignalsService
from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.process import SimulatedProcess

TIMES_IN_FORCE: Final = (TimeInForce.IOC, TimeInForce.DAY)

Wiring = Callable[[SimulatedProcess], None]


def wirings(model: Model, chance: Chance) -> dict[str, Wiring]:
    """Name the page of each."""
    return {
        "market_data": market_data,
        "signals": lambda process: _signals(process, model, chance),
        "risk": risk,
        "execution": _execution,
    }


def _execution(process: SimulatedProcess) -> None:
    journal = process.journal()
    process.orders = replay(journal.records())
    service = service_of(process, process.config(ExecutionConfig), process.orders)
    process.serve(service, answers=[COMMANDS], journal=journal, journal_stream=ORDERS)


def _signals(process: Process, model: Model, chance: Chance) -> None:
    config = process.config(SignalsConfig)
    # What does not fill at once: one life lets it go, the next lets it stand until risk has it cancelled.
    strategy = config.strategy.model_copy(update={"time_in_force": chance.dice.choice(TIMES_IN_FORCE)})
    terms = Terms(
        strategy=StrategyId(config.strategy_id),
        epoch=name_epoch(process.clock.now_ns(), chance.dice.randbytes(CHANCE_BYTES)),
        quote_age_ms_max=config.quote_age_ms_max,
        signal_ttl_ms=config.signal_ttl_ms,
        judge_ms_max=config.judge_ms_max,
        symbols_max=config.symbols_max,
        venue=Venue(config.venue),
    )
    service = SignalsService(model, strategy, terms, process.metrics)
    process.serve(service, hears={MARKET: None, POSITIONS: None}, asks=[JUDGE])
