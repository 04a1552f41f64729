"""How each of the four is made in a simulation: by its own wiring page, as far as that page needs no real venue.

A stand-in for a trained model: leans at random, and not at all once the run is to come to rest.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from components.contracts.streams import COMMANDS, MARKET, ORDERS, POSITIONS, RISK_REQUESTS
from components.contracts.values import StrategyId, TimeInForce, Venue
from components.execution.config import ExecutionConfig
from components.execution.wiring import build_service, replay
from components.market_data.wiring import market_data
from components.risk.wiring import risk
from components.runtime.process.process import Process
from components.signals.config import SignalsConfig
from components.signals.core.features import SCHEMA
from components.signals.core.model import OUTPUTS, Model, ModelCard
from components.signals.core.strategy import RANDOM_BYTES, SignalSettings, new_run_id
from components.signals.service import SignalsService
from components.xtrader.simulation.process import SimulatedProcess
from components.xtrader.simulation.scheduler import Randomness

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


PREDICT_UP: Final = (0.1, 0.2, 0.7)


PREDICT_DOWN: Final = (0.7, 0.2, 0.1)


PREDICT_FLAT: Final = (0.3, 0.4, 0.3)


MODEL_CARD: Final = ModelCard(
    name="dice",
    version=1,
    file="none",
    file_hash="0" * 32,
    schema_version=SCHEMA.version,
    schema_hash=SCHEMA.hash,
    inputs=SCHEMA.names,
    outputs=OUTPUTS,
    horizon_quotes=1,
    move_bps=1.0,
    command="none",
    seed=0,
    samples=0,
    accuracy=0.0,
)


class RandomModel:
    """Knows nothing of markets, which is what makes it reach every corner of the account."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.always_flat = False

    @property
    def card(self) -> ModelCard:
        """What it is."""
        return MODEL_CARD

    def predict(self, features: Sequence[float]) -> tuple[float, ...]:  # noqa: ARG002  # chance needs no features
        """Lean either way as often, so that positions are built up to their limit and taken down again."""
        if self.always_flat:
            return PREDICT_FLAT
        return self._random.choices((PREDICT_UP, PREDICT_DOWN, PREDICT_FLAT), (3, 3, 1))[0]
