"""Which venue URLs may be used: listed hosts only, and a live account only if three switches agree."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

LIVE_HOSTS: Final = frozenset({"api.alpaca.markets", "broker-api.alpaca.markets"})
"""Orders sent here move real money."""
ENCRYPTED_SCHEMES: Final = frozenset({"https", "wss"})
PLAINTEXT_SCHEMES: Final = frozenset({"http", "ws"})
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
NEVER_LIVE_ENVIRONMENT: Final = "dev"
URL_LENGTH_MAX: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTradingSwitches:
    """Three independent switches for live trading; each names the account."""

    env: str
    account: str
    config: bool
    """The key venues.live_trading."""
    environment: str
    """The variable XTRADER_LIVE_TRADING."""
    file: str
    """The content of the file keys/live."""

    @property
    def missing(self) -> str | None:
        """Return why a live account may not be used, or None."""
        if self.env == NEVER_LIVE_ENVIRONMENT:
            return f"is for live accounts, which {NEVER_LIVE_ENVIRONMENT} may not use"
        switches = {
            "venues.live_trading = true": self.config,
            f"XTRADER_LIVE_TRADING={self.account}": self.environment == self.account,
            f"a file keys/live that contains {self.account}": self.file == self.account,
        }
        missing = [name for name, agrees in switches.items() if not agrees]
        return f"is for live accounts; missing: {', '.join(missing)}" if missing else None


@dataclass(frozen=True, slots=True)
class VenueHostPolicy:
    """Decides whether a URL may be used."""

    allowed_hosts: Collection[str]
    live: LiveTradingSwitches

    def violation(self, url: str) -> str | None:
        """Return why the URL may not be used, or None."""
        parts = _split(url)
        if parts is None:
            return "is not a URL of the form https://host[:port]/path"
        host = (parts.hostname or "").rstrip(".")
        if host in LIVE_HOSTS and (missing_switches := self.live.missing):
            return f"{host} {missing_switches}"
        if host not in self.allowed_hosts:
            return f"{host} is not in venues.allowed_hosts ({', '.join(self.allowed_hosts) or 'empty'})"
        if parts.scheme in PLAINTEXT_SCHEMES and host not in LOOPBACK_HOSTS:
            return f"{parts.scheme} would send keys unencrypted; allowed for loopback hosts only"
        return None


def _split(url: str) -> SplitResult | None:
    # URL parsers disagree about these characters: the HTTP client could connect to another host than the one checked.
    if len(url) > URL_LENGTH_MAX or any(c in "\\@" or c <= " " or c > "~" for c in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ENCRYPTED_SCHEMES | PLAINTEXT_SCHEMES and parts.hostname else None
