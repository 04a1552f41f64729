"""The configuration tables that every process reads: [account], [runtime], [venues]."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Table(BaseModel):
    """A table of the configuration: frozen, and a key it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    JSON = "json"
    READABLE = "readable"


class LogLevel(StrEnum):
    """The least important line that is still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class AccountConfig(Table):
    """Whose orders these are; the name is in the state folder, in each journal and under each seal."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")


class RuntimeConfig(Table):
    """What every process needs to live."""

    state_dir: str = Field(min_length=1)
    run_dir: str
    health_host: str = Field(min_length=1)
    health_port: int = Field(ge=0, le=65535)
    log_format: LogFormat
    log_level: LogLevel
    drain_ms_max: int = Field(ge=0, le=60_000)
    watchdog_ms_max: int = Field(ge=100, le=120_000)


class VenuesConfig(Table):
    """Which hosts may be reached at all."""

    allowed_hosts: tuple[str, ...]
    live_trading: bool


class Redacted:
    """Marks a configured value that no message may repeat."""


class VenueUrlMarker:
    """Marks a field of a table as a venue's address, so that its host is checked when it is loaded."""
