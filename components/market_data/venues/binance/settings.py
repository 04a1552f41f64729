"""What can be tuned for a market of Binance, checked against what that market offers."""

from collections.abc import Container

from msgspec import Struct

from components.contracts.errors import ConfigError


class BinanceSettings(Struct, frozen=True, kw_only=True):
    """The depth of the images, the pace of the changes, and what is heard beside the book."""

    depth_speed_ms: int = 100
    snapshot_depth: int = 1000
    """Levels a side of an image; what lies deeper is not known until it changes."""
    quotes: bool = True
    trades: bool = True


def check_settings(settings: BinanceSettings, speeds_ms: Container[int], snapshot_depths: Container[int]) -> None:
    """Refuse what the market does not offer."""
    if settings.depth_speed_ms not in speeds_ms:
        raise ConfigError(f"depth_speed_ms: {settings.depth_speed_ms} is none of {speeds_ms}")
    if settings.snapshot_depth not in snapshot_depths:
        raise ConfigError(f"image_depth: {settings.snapshot_depth} is none of {snapshot_depths}")
