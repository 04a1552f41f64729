"""Every table of the configuration and the model that checks it."""

from collections.abc import Mapping

from pydantic import BaseModel

from components.execution.config import ExecutionConfig
from components.market_data.config import MarketDataConfig
from components.risk.config import RiskConfig
from components.signals.config import SignalsConfig


def table_models() -> Mapping[str, type[BaseModel]]:
    """Name the tables that must all be right before anything starts."""
    return {
        "market_data": MarketDataConfig,
        "signals": SignalsConfig,
        "risk": RiskConfig,
        "execution": ExecutionConfig,
    }
