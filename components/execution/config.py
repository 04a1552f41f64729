"""Schema of the configuration table [execution]."""

from pydantic import Field

from components.execution.core.next_action import FenceLimits
from components.runtime.config.schema import SecretReference, Table, VenueUrl


class RequestBudgetConfig(Table):
    """The venue's requests per minute, divided so that neither orders nor reads can starve a cancel."""

    orders_per_minute: int = Field(ge=1, le=10_000)
    reads_per_minute: int = Field(ge=10, le=10_000)
    reserve_per_minute: int = Field(ge=1, le=10_000)


class ReconciliationConfig(Table):
    """How often the journal is compared with the venue's account."""

    interval_s: int = Field(ge=1, le=300)
    fills_margin_s: int = Field(ge=1, le=600)


class OrderConfig(Table):
    """Limits and intervals of order handling."""

    submits_in_flight_max: int = Field(ge=1, le=64)
    cancel_check_ms: int = Field(ge=100, le=60_000)
    buffered_events_max: int = Field(ge=100, le=1_000_000)


class VenueHealthLimits(Table):
    """Thresholds at which the venue counts as degraded and as lost."""

    degraded_after_failures: int = Field(ge=1, le=100)
    lost_after_failures: int = Field(ge=1, le=100)
    slow_response_ms: int = Field(ge=1, le=60_000)
    degraded_after_slow_responses: int = Field(ge=1, le=1_000)


class AlpacaConfig(Table):
    """Connection to Alpaca; the keys are references to secrets."""

    trading_url: VenueUrl
    stream_url: VenueUrl
    key: SecretReference
    secret: SecretReference
    connect_timeout_ms: int = Field(ge=50, le=30_000)
    reply_timeout_ms: int = Field(ge=100, le=60_000)
    connections_max: int = Field(ge=1, le=64)
    ping_interval_ms: int = Field(ge=100, le=60_000)
    pong_timeout_ms: int = Field(ge=100, le=60_000)
    probe_after_idle_ms: int = Field(ge=1_000, le=600_000)
    retry_ms_first: int = Field(ge=1, le=250)
    retry_ms_max: int = Field(ge=250, le=120_000)
    frame_bytes_max: int = Field(ge=1_024, le=64 * 1024 * 1024)


class ExecutionConfig(Table):
    """All settings of execution."""

    request_budget: RequestBudgetConfig
    reconciliation: ReconciliationConfig
    orders: OrderConfig
    fence: FenceLimits
    venue_health: VenueHealthLimits
    alpaca: AlpacaConfig
