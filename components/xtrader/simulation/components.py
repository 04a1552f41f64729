"""How each of the four services is wired in a simulation: by its own wiring function where that needs no real venue.

Signals uses a random model instead of a trained one.
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

Wiring = Callable[[SimulatedProcess], None]
TIMES_IN_FORCE: Final = (TimeInForce.IOC, TimeInForce.DAY)
PREDICT_UP: Final = (0.1, 0.2, 0.7)
PREDICT_DOWN: Final = (0.7, 0.2, 0.1)
PREDICT_FLAT: Final = (0.3, 0.4, 0.3)
MODEL_CARD: Final = ModelCard(
    name="random",
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


def node_wirings(model: Model, randomness: Randomness) -> dict[str, Wiring]:
    """Return the wiring function of each service."""
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
    # IOC orders end at once; DAY orders stay open until risk has them cancelled.
    strategy = config.strategy.model_copy(update={"time_in_force": randomness.random.choice(TIMES_IN_FORCE)})
    settings = SignalSettings(
        strategy=StrategyId(config.strategy_id),
        run_id=new_run_id(process.clock.now_ns(), randomness.random.randbytes(RANDOM_BYTES)),
        quote_age_ms_max=config.quote_age_ms_max,
        signal_ttl_ms=config.signal_ttl_ms,
        approval_timeout_ms=config.approval_timeout_ms,
        symbols_max=config.symbols_max,
        venue=Venue(config.venue),
    )
    service = SignalsService(model, strategy, settings, process.metrics)
    process.run(service, subscribes={MARKET: None, POSITIONS: None}, requests=[RISK_REQUESTS])


class RandomModel:
    """A model with random predictions, so that positions reach every state."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.always_flat = False

    @property
    def card(self) -> ModelCard:
        """A constant card."""
        return MODEL_CARD

    def predict(self, features: Sequence[float]) -> tuple[float, ...]:  # noqa: ARG002  # the prediction is random
        """Predict up and down equally often, so that positions grow to their limit and shrink again."""
        if self.always_flat:
            return PREDICT_FLAT
        return self._random.choices((PREDICT_UP, PREDICT_DOWN, PREDICT_FLAT), (3, 3, 1))[0]
