"""The canonical text of a book and its hashes, by which two implementations can be held against each other."""

import json
from hashlib import sha256
from typing import Final

from components.market_data.core.depth import Depth
from components.market_data.core.levels import pairs

TOP: Final = 10


def hash_top(depth: Depth) -> str:
    """Hash the canonical top of a book."""
    bids, asks = depth.top(TOP)
    text = json.dumps({"asks": pairs(asks), "bids": pairs(bids)}, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


class Chain:
    """Hashes of one state after the other; an end state alone would hide what was wrong on the way."""

    def __init__(self) -> None:
        self._states = sha256()
        self._count = 0

    def add(self, state: str) -> None:
        """Take the next state's hash."""
        self._states.update(state.encode() if self._count == 0 else b"\n" + state.encode())
        self._count += 1

    def hash(self) -> str:
        """Give the hash over all of them."""
        return self._states.hexdigest()
