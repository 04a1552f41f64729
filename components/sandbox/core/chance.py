"""Chance without state: the same seed and place give the same draws on every machine and in every order."""

from hashlib import blake2b
from struct import Struct

_EIGHT = Struct("<8Q")


def draws(seed: int, name: str, index: int) -> tuple[int, ...]:
    """Return eight independent 64-bit numbers that belong to this place of this named sequence."""
    text = f"{seed}/{name}/{index}".encode()
    return _EIGHT.unpack(blake2b(text, digest_size=64).digest())


def is_drawn(draw: int, one_in: int) -> bool:
    """Tell whether an event with a chance of one in so many happens on this draw."""
    return draw % one_in == 0


def normal_draw(draw: int) -> int:
    """Turn a draw into a nearly normal number with mean 0 and deviation 1000."""
    # The sum of four uniform 16-bit pieces has a deviation of 65536 / sqrt(3).
    pieces = (draw & 0xFFFF) + (draw >> 16 & 0xFFFF) + (draw >> 32 & 0xFFFF) + (draw >> 48)
    return (pieces - 131_070) * 1000 // 37_837
