"""Which venues a verb speaks to itself, and the keys it may need; beside `xtrader up`, the venues are those of `up`."""

from collections.abc import Sequence
from pathlib import Path

from components.contracts.errors import UsageError
from components.market_data.config import MarketDataConfig, VenueConfig
from components.market_data.venues.choosing import choose, tables_of
from components.market_data.venues.dialects import Reveal
from components.runtime.config import Layers, read_layers_beside_up
from components.runtime.logs import hide
from components.runtime.secrets import resolve


def asked(venues: Sequence[str]) -> tuple[list[VenueConfig], Reveal]:
    """Give the tables of these venues, or of those that are listened to, and what reveals their keys."""
    layers = read_layers_beside_up()
    settings = layers.check({"market_data": MarketDataConfig})
    config = settings.table("market_data", MarketDataConfig)
    tables = tables_of(config, venues) if venues else list(config.venues)
    if not tables:
        raise UsageError("no crypto venue is listened to: name one with --venue")
    return tables, revealer(layers)


def revealer(layers: Layers) -> Reveal:
    """Make what resolves references, and keeps what they hide out of the log."""
    root = layers.check({}).places.root

    def reveal(reference: str) -> bytes:
        secret = resolve(reference, root=root, environ=layers.environ).reveal()
        hide(secret.decode("utf-8", "replace"))
        return secret

    return reveal


def recorded(venues: Sequence[str], symbols: Sequence[str]) -> tuple[list[VenueConfig], Reveal, Path]:
    """Give the tables of what is recorded, what reveals their keys, and the folder of the system's state."""
    layers = read_layers_beside_up()
    settings = layers.check({"market_data": MarketDataConfig})
    tables = choose(settings.table("market_data", MarketDataConfig), venues, symbols)
    return tables, revealer(layers), settings.places.state
