"""Everything the signals process is made of, on one page."""

from secrets import token_bytes

from components.contracts.topics import JUDGE, MARKET, POSITIONS
from components.contracts.values import StrategyId, Venue
from components.runtime.process import Process
from components.signals.config import SignalsConfig
from components.signals.core.identity import CHANCE_BYTES, name_epoch
from components.signals.core.intents import Terms
from components.signals.core.schema import SCHEMA
from components.signals.service import SignalsService
from components.signals.venues.onnx import load


def signals(process: Process) -> None:
    """Wire the parts together and serve until asked to stop."""
    config = process.config(SignalsConfig)
    model = load(process.places.root / config.model, SCHEMA)
    terms = Terms(
        strategy=StrategyId(config.strategy_id),
        epoch=name_epoch(process.clock.now_ns(), token_bytes(CHANCE_BYTES)),
        quote_age_ms_max=config.quote_age_ms_max,
        signal_ttl_ms=config.signal_ttl_ms,
        judge_ms_max=config.judge_ms_max,
        symbols_max=config.symbols_max,
        venue=Venue(config.venue),
    )
    service = SignalsService(model, config.strategy, terms, process.metrics)
    process.serve(service, hears={MARKET: None, POSITIONS: None}, asks=[JUDGE])
