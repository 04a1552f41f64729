"""Settings of a sandbox, read from the options of `sandbox run`."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from components.contracts.errors import UsageError
from components.sandbox.alpaca.core.session import SessionName

SYMBOLS_MAX = 30  # the limit of Alpaca's free plan: clients could not subscribe to more
TEST_SYMBOL = "FAKEPACA"
PORT_MAX = 65_535
ALPACA = "alpaca"
VENUES = (ALPACA, "binance", "binanceum", "okx", "deribit")
_SYMBOL = re.compile(r"[A-Z]{1,5}(\.[A-Z])?")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one sandbox process."""

    port: int
    admin_port: int
    seed: int
    state: Path | None
    keys: Path | None
    speed: float
    symbols: tuple[str, ...]
    session: SessionName
    rate_limit_per_minute: int
    venues: tuple[str, ...] = (ALPACA,)
    venue_ports: Mapping[str, int] = {}
    recording: tuple[Path, ...] = ()
    heartbeat_scale: float = 1.0
    crypto_rate: float = 50.0


def settings_from_options(options: Mapping[str, object]) -> Settings:
    """Build the settings from command-line options; raise UsageError for invalid symbols, venues or equal ports."""
    session = SessionName(str(options["session"]))
    read = {
        "symbols": parse_symbols(str(options["symbols"])),
        "venues": parse_venues(str(options["venues"])),
        "venue_ports": parse_ports(str(options.get("venue_ports", ""))),
    }
    settings = Settings(**{**options, **read, "session": session})  # type: ignore[arg-type]
    if settings.port and settings.port == settings.admin_port:
        raise UsageError(f"--port and --admin-port are both {settings.port}")
    return settings


def parse_symbols(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of symbols; remove duplicates, keep the order."""
    symbols = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise UsageError(f"--symbols: {symbol!r} is not a symbol (one to five letters, such as AAPL or BRK.B)")
    if not 1 <= len(symbols) <= SYMBOLS_MAX:
        raise UsageError(f"--symbols: {len(symbols)} symbols named, 1 to {SYMBOLS_MAX} are allowed")
    return symbols


def parse_venues(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of venues; remove duplicates, keep the order."""
    venues = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for venue in venues:
        if venue not in VENUES:
            raise UsageError(f"--venues: no venue {venue!r}; there are {', '.join(VENUES)}")
    if not venues:
        raise UsageError(f"--venues: name at least one of {', '.join(VENUES)}")
    return venues


def parse_ports(text: str) -> dict[str, int]:
    """Parse the ports of the crypto venues: comma-separated pairs name=port."""
    ports: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = part.partition("=")
        if name not in VENUES[1:] or not number.isdecimal() or not 0 <= int(number) <= PORT_MAX:
            raise UsageError(f"--venue-ports: {part!r} is not VENUE=PORT; the venues are {', '.join(VENUES[1:])}")
        ports[name] = int(number)
    return ports
