"""Names signals so that no two lives of a strategy ever use one id twice, and the same tape gives the same ids."""

from base64 import b32encode
from typing import Final

from components.contracts.values import SignalId, StrategyId

RANDOM_BYTES: Final = 4
NS_PER_S: Final = 1_000_000_000


def new_run_id(now_ns: int, random_bytes: bytes) -> str:
    """Name one start of the strategy: the second it began, and enough chance to tell two in one second apart."""
    second = (now_ns // NS_PER_S).to_bytes(4, "big")
    return b32encode(second + random_bytes[:RANDOM_BYTES]).decode().rstrip("=").lower()


def make_signal_id(strategy: StrategyId, run_id: str, sequence: int) -> SignalId:
    """Name the next signal of this start."""
    return SignalId(f"{strategy}-{run_id}-{sequence}")
