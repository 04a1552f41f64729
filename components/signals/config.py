"""Schema of the configuration table [signals]."""

from pydantic import Field

from components.runtime.config.schema import Table
from components.signals.core.strategy import StrategySettings


class SignalsConfig(Table):
    """The model, the strategy, and the time limits of signals."""

    strategy_id: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,12}$")
    model: str = Field(min_length=1)
    venue: str = Field(pattern=r"^[A-Za-z_]{1,16}$")
    quote_age_ms_max: int = Field(ge=10, le=600_000)
    signal_ttl_ms: int = Field(ge=10, le=60_000)
    approval_timeout_ms: int = Field(ge=10, le=60_000)
    symbols_max: int = Field(ge=1, le=10_000)
    strategy: StrategySettings
