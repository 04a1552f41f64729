"""The canonical text of a book and its hashes, by which two implementations can be held against each other."""

import json
from hashlib import sha256
from typing import Final

from components.market_data.core.depth import OrderBook
from components.market_data.core.levels import canonical_levels

TOP_LEVELS: Final = 10


def top_fingerprint(book: OrderBook) -> str:
    """Hash the canonical top of a book."""
    bids, asks = book.top(TOP_LEVELS)
    text = json.dumps({"asks": canonical_levels(asks), "bids": canonical_levels(bids)}, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


class StateFingerprint:
    """Hashes of one state after the other; an end state alone would hide what was wrong on the way."""

    def __init__(self) -> None:
        self._states = sha256()
        self._count = 0

    def add(self, digest: str) -> None:
        """Take the next state's hash."""
        self._states.update(digest.encode() if self._count == 0 else b"\n" + digest.encode())
        self._count += 1

    def hexdigest(self) -> str:
        """Give the hash over all of them."""
        return self._states.hexdigest()
