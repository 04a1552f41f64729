"""The configuration tables that every process reads, and the field types that components use in their own tables."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from components.runtime.logs import LogFormat, LogLevel

SECRET_REFERENCE_PATTERN: Final = re.compile(r"(env):([A-Za-z_][A-Za-z0-9_]*)|(file):([^\0]+)")


class Redacted:
    """Marks a field whose value error messages must not repeat."""


class VenueUrlMarker:
    """Marks a field that holds the URL of a venue; its host is checked when the configuration is loaded."""


VenueUrl = Annotated[str, VenueUrlMarker()]


def _validate_secret_reference(text: str) -> str:
    if not SECRET_REFERENCE_PATTERN.fullmatch(text):
        raise PydanticCustomError("secret_reference", "must be a reference: env:NAME or file:path")
    return text


SecretReference = Annotated[str, AfterValidator(_validate_secret_reference), Redacted()]
"""A reference to a secret. A secret written in its place is rejected, and the message does not repeat it."""


class Table(BaseModel):
    """A table of the configuration: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AccountConfig(Table):
    """The account that is traded. Its name is part of the state folder, of each journal and of each sealed approval."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")


class RuntimeConfig(Table):
    """What every process needs: folders, health server, log output, timeouts."""

    state_dir: str = Field(min_length=1)
    run_dir: str
    """Empty: a private folder is chosen whose path is short enough for sockets."""
    health_host: str = Field(min_length=1)
    health_port: int = Field(ge=0, le=65535)
    log_format: LogFormat
    log_level: LogLevel
    drain_timeout_ms: int = Field(ge=0, le=60_000)
    watchdog_timeout_ms: int = Field(ge=100, le=120_000)


class VenuesConfig(Table):
    """The venue hosts that may be reached, and whether live trading is switched on."""

    allowed_hosts: tuple[str, ...]
    live_trading: bool
