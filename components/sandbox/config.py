"""What one can ask of a sandbox when starting it."""

import re
from pathlib import Path

from msgspec import Struct

from components.contracts.errors import UsageError
from components.sandbox.core.session import SessionName

SYMBOLS_DEFAULT = "AAPL,MSFT,NVDA,SPY,TSLA"
SYMBOLS_MAX = 30  # the free plan's limit: more could not be subscribed anyway
TEST_SYMBOL = "FAKEPACA"
_SYMBOL = re.compile(r"[A-Z]{1,5}(\.[A-Z])?")


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of one venue, checked."""

    port: int
    admin_port: int
    seed: int
    state: Path | None
    speed: float
    symbols: tuple[str, ...]
    session: SessionName
    rate_limit_per_minute: int


def parse_symbols(text: str) -> tuple[str, ...]:
    """Read a list of symbols divided by commas; each once, in the order given."""
    symbols = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    for symbol in symbols:
        if not _SYMBOL.fullmatch(symbol):
            raise UsageError(f"--symbols: {symbol!r} is not a symbol (one to five letters, such as AAPL or BRK.B)")
    if not 1 <= len(symbols) <= SYMBOLS_MAX:
        raise UsageError(f"--symbols: {len(symbols)} symbols, allowed are 1 to {SYMBOLS_MAX}")
    return symbols
