"""Which venues a verb speaks to itself, and the keys it may need; beside `xtrader up`, the venues are those of `up`."""

from collections.abc import Sequence
from pathlib import Path

from components.contracts.errors import UsageError
from components.market_data.config import MarketDataConfig, VenueConfig
from components.market_data.venues.choosing import select_venues, venue_tables
from components.market_data.venues.dialects import SecretResolver
from components.runtime.config import ConfigLayers, read_layers_with_overlay
from components.runtime.logs import redact
from components.runtime.secrets import resolve


def venues_to_query(venues: Sequence[str]) -> tuple[list[VenueConfig], SecretResolver]:
    """Give the tables of these venues, or of those that are listened to, and what reveals their keys."""
    layers = read_layers_with_overlay()
    settings = layers.validate({"market_data": MarketDataConfig})
    config = settings.table("market_data", MarketDataConfig)
    tables = venue_tables(config, venues) if venues else list(config.venues)
    if not tables:
        raise UsageError("no crypto venue is listened to: name one with --venue")
    return tables, secret_resolver(layers)


def secret_resolver(layers: ConfigLayers) -> SecretResolver:
    """Make what resolves references, and keeps what they hide out of the log."""
    root = layers.validate({}).paths.root

    def reveal(reference: str) -> bytes:
        secret = resolve(reference, root=root, environ=layers.environ).reveal()
        redact(secret.decode("utf-8", "replace"))
        return secret

    return reveal


def venues_to_record(venues: Sequence[str], symbols: Sequence[str]) -> tuple[list[VenueConfig], SecretResolver, Path]:
    """Give the tables of what is recorded, what reveals their keys, and the folder of the system's state."""
    layers = read_layers_with_overlay()
    settings = layers.validate({"market_data": MarketDataConfig})
    tables = select_venues(settings.table("market_data", MarketDataConfig), venues, symbols)
    return tables, secret_resolver(layers), settings.paths.state
