"""What can be chosen of Deribit."""

from typing import Final

from msgspec import Struct

RAW: Final = "raw"
INTERVALS: Final = (RAW, "100ms", "agg2")
HEARTBEAT_S_MIN: Final = 10


class DeribitSettings(Struct, frozen=True, kw_only=True):
    """Which of its instruments and channels are wanted, and how often they speak."""

    interval: str = "100ms"
    """How often books and trades are pushed: raw (each change; needs keys), 100ms, or agg2 (each second)."""
    currencies: tuple[str, ...] = ("any",)
    kinds: tuple[str, ...] = ("future", "option", "spot")
    quotes: bool = True
    trades: bool = True
    heartbeat_s: int = 30
    snapshot_depth: int = 10_000
    """Levels of a side in an image that is fetched."""


def checked_settings(settings: DeribitSettings, *, has_keys: bool) -> DeribitSettings:
    """Give settings that Deribit can serve; a ValueError in one line where it cannot."""
    if settings.interval not in INTERVALS:
        raise ValueError(f"deribit: interval {settings.interval!r} is none of {', '.join(INTERVALS)}")
    if settings.interval == RAW and not has_keys:
        raise ValueError("deribit: interval 'raw' needs a key and a secret; without them the best is '100ms'")
    if settings.heartbeat_s < HEARTBEAT_S_MIN:
        raise ValueError(f"deribit: heartbeat_s {settings.heartbeat_s} is below {HEARTBEAT_S_MIN}, the venue's least")
    return settings
