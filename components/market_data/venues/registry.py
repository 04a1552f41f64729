"""What a recorded address says: which venue was spoken to, and what was asked of it."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

from components.contracts.values import Venue
from components.market_data.core.recording import Via

BINANCE: Final = Venue("BINANCE")
BINANCEUM: Final = Venue("BINANCEUM")
OKX: Final = Venue("OKX")
DERIBIT: Final = Venue("DERIBIT")
ALPACA: Final = Venue("ALPACA")

# A path tells more than a host, for the sandbox has the venues' paths at an address of its own. Only the futures'
# streams were once at the same paths as the spot market's: then the host has to tell, or an answer beside them.
_VENUE_PATHS: Final = (
    (re.compile(r"/fapi/v\d+/"), BINANCEUM),
    (re.compile(r"/(public|market|private)/(ws|stream)(/|$)"), BINANCEUM),
    (re.compile(r"/ws/v5/|/api/v5/"), OKX),
    (re.compile(r"/ws/api/v2|/api/v2/"), DERIBIT),
    (re.compile(r"/api/v3/"), BINANCE),
    (re.compile(r"/v\d+beta\d+/crypto/"), ALPACA),
)
_FUTURES_HOST: Final = re.compile(r"fstream")
_OTHER_MARKET_HOST: Final = re.compile(r"dstream")
_UNROUTED: Final = re.compile(r"/(ws|stream)(/|$)")

_METADATA_PATH: Final = re.compile(r"/(exchangeInfo|public/instruments|public/get_instruments|latest/orderbooks)$")
_SNAPSHOT_PATHS: Final = (
    (re.compile(r"/(fapi|api)/v\d+/depth$"), "symbol"),
    (re.compile(r"/api/v5/market/books$"), "instId"),
    (re.compile(r"/api/v2/public/get_order_book$"), "instrument_name"),
)


def detect_venues(urls: Iterable[str]) -> list[Venue]:
    """Tell which venues these addresses of one recording are of, in order; where it is well, one."""
    found: dict[Venue, None] = {}
    is_unrouted = False
    for address in urls:
        venue = _detect_venue(address)
        if venue is not None:
            found[venue] = None
        elif _is_unrouted(address):
            is_unrouted = True
    if is_unrouted and not {BINANCE, BINANCEUM} & found.keys():
        found[BINANCE] = None
    return list(found)


def _detect_venue(url: str) -> Venue | None:
    parts = _split(url)
    for pattern, venue in _VENUE_PATHS:
        if pattern.match(parts.path):
            return venue
    is_futures = _UNROUTED.match(parts.path) and _FUTURES_HOST.search(parts.netloc)
    return BINANCEUM if is_futures else None


def _is_unrouted(url: str) -> bool:
    parts = _split(url)
    return _UNROUTED.match(parts.path) is not None and _OTHER_MARKET_HOST.search(parts.netloc) is None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # an address that is none is of no venue
        return urlsplit("")


def is_metadata(via: str, url: str) -> bool:
    """Say whether the instruments were asked for there."""
    return via == Via.RESPONSE and _METADATA_PATH.search(_split(url).path) is not None


def snapshot_symbol(via: str, url: str) -> str | None:
    """Give the native name whose whole book was asked for there, if it was."""
    if via != Via.RESPONSE:
        return None
    parts = _split(url)
    for pattern, key in _SNAPSHOT_PATHS:
        if pattern.match(parts.path):
            return next(iter(parse_qs(parts.query).get(key, ())), None)
    return None
