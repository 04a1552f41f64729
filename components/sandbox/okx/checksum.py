"""The checksum of an OKX book: twenty-five levels a side, interleaved, exactly as their texts stand."""

import zlib
from collections.abc import Sequence
from itertools import zip_longest

CHECKSUM_LEVELS = 25
LevelText = tuple[str, str]


def checksum(bids: Sequence[LevelText], asks: Sequence[LevelText]) -> int:
    """Compute the signed CRC-32 of a book whose sides stand best first."""
    pairs = zip_longest(bids[:CHECKSUM_LEVELS], asks[:CHECKSUM_LEVELS])
    text = ":".join(f"{price}:{size}" for pair in pairs for price, size in filter(None, pair))
    return _signed(zlib.crc32(text.encode()))


def _signed(value: int) -> int:
    return value - (1 << 32) if value >> 31 else value
