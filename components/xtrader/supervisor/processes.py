"""The list of all processes, their dependencies, and the venue endpoints that they are given."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

STREAM_URL_PATHS: Final[Mapping[str, str]] = {"okx": "/ws/v5/public", "deribit": "/ws/api/v2"}
"""Venues whose configured stream URL ends with a path; the sandbox prints URLs without it."""


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """One executable: its name, and the processes that must be ready before it starts."""

    name: str
    depends_on: tuple[str, ...]

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that runs it under this interpreter."""
        return [sys.executable, "-m", f"components.{self.name}", "run", *arguments]


SANDBOX: Final = ProcessSpec("sandbox", depends_on=())
EXECUTION: Final = ProcessSpec("execution", depends_on=("sandbox",))
MARKET_DATA: Final = ProcessSpec("market_data", depends_on=("sandbox",))
RISK: Final = ProcessSpec("risk", depends_on=("execution", "market_data"))
SIGNALS: Final = ProcessSpec("signals", depends_on=("risk",))
PROCESSES: Final = (SANDBOX, EXECUTION, MARKET_DATA, RISK, SIGNALS)
"""In start order; they are stopped in reverse."""


@dataclass(frozen=True, slots=True)
class CryptoVenueUrls:
    """The websocket and REST URLs of one crypto venue."""

    stream_url: str
    rest_url: str

    def environment(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return the variables that point market_data at this venue."""
        table = f"XTRADER__MARKET_DATA__{name.upper()}"
        stream_url = self.stream_url + STREAM_URL_PATHS.get(name, "")
        return ((f"{table}__STREAM_URL", stream_url), (f"{table}__REST_URL", self.rest_url))


@dataclass(frozen=True, slots=True)
class VenueEndpoints:
    """The URLs of the venue and the keys it accepts; the sandbox prints them as its first line of output."""

    trading_url: str
    stream_url: str
    data_url: str
    admin_url: str
    key: str
    secret: str
    venues: Mapping[str, CryptoVenueUrls] = field(default_factory=dict)
    """The crypto venues, by the names of their configuration tables."""

    def environment(self) -> Mapping[str, str]:
        """Return the variables that point every child at these venues."""
        return {
            **{variable: url for name, urls in self.venues.items() for variable, url in urls.environment(name)},
            "XTRADER__MARKET_DATA__ALPACA__STREAM_URL": self.data_url,
            **self._alpaca_crypto_environment(),
            "XTRADER__EXECUTION__ALPACA__TRADING_URL": self.trading_url,
            "XTRADER__EXECUTION__ALPACA__STREAM_URL": self.stream_url,
            "APCA_API_KEY_ID": self.key,
            "APCA_API_SECRET_KEY": self.secret,
        }

    def _alpaca_crypto_environment(self) -> Mapping[str, str]:
        # Alpaca's crypto API has its own paths on the sandbox's one port.
        stream_url, rest_url = self.data_url.partition("/v2/")[0], self.trading_url
        table = "XTRADER__MARKET_DATA__ALPACA_CRYPTO"
        return {f"{table}__STREAM_URL": f"{stream_url}/v1beta3/crypto/us", f"{table}__REST_URL": rest_url}


def dependencies_of(spec: ProcessSpec, specs: tuple[ProcessSpec, ...]) -> tuple[str, ...]:
    """Return the processes of this run that must be ready before `spec` starts."""
    running = {one.name for one in specs}
    return tuple(name for name in spec.depends_on if name in running)
