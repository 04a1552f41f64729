"""Composition root of the signals process."""

from secrets import token_bytes

from components.contracts.streams import MARKET, POSITIONS, RISK_REQUESTS
from components.contracts.values import StrategyId, Venue
from components.runtime.process.process import Process
from components.signals.config import SignalsConfig
from components.signals.core.features import SCHEMA
from components.signals.core.strategy import RANDOM_BYTES, SignalSettings, new_run_id
from components.signals.service import SignalsService
from components.signals.venues.onnx import load_model


def signals(process: Process) -> None:
    """Build the service and serve until shutdown."""
    config = process.config(SignalsConfig)
    model = load_model(process.paths.root / config.model, SCHEMA)
    settings = SignalSettings(
        strategy=StrategyId(config.strategy_id),
        run_id=new_run_id(process.clock.now_ns(), token_bytes(RANDOM_BYTES)),
        quote_age_ms_max=config.quote_age_ms_max,
        signal_ttl_ms=config.signal_ttl_ms,
        approval_timeout_ms=config.approval_timeout_ms,
        symbols_max=config.symbols_max,
        venue=Venue(config.venue),
    )
    service = SignalsService(model, config.strategy, settings, process.metrics)
    process.run(service, subscribes={MARKET: None, POSITIONS: None}, requests=[RISK_REQUESTS])
