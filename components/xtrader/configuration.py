"""The validated configuration: every key with its value and origin, and the models and JSON schema of all tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel, create_model

from components.execution.config import ExecutionConfig
from components.market_data.config import MarketDataConfig
from components.risk.config import RiskConfig
from components.runtime.config.layers import KeyPath
from components.runtime.config.schema import AccountConfig, RuntimeConfig, VenuesConfig
from components.runtime.config.settings import ConfigLayers, read_layers
from components.signals.config import SignalsConfig


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One effective key: its path, its value, and the layer that set it."""

    path: KeyPath
    value: Any
    origin: str

    @property
    def name(self) -> str:
        """The dotted path, for example `risk.limits.open_orders_max`."""
        return ".".join(self.path)

    def as_toml(self) -> str:
        """Return the key as a line of TOML."""
        return f"{self.name} = {_toml(self.value)}"


def list_keys(table: str | None = None, environ: Mapping[str, str] | None = None) -> list[ConfigKey]:
    """Return every effective key, or those of one table.

    An invalid configuration raises ConfigError, as in every process.
    """
    layers = read_layers(environ)
    settings = layers.validate(table_models())
    shared = {"account": settings.account, "runtime": settings.runtime, "venues": settings.venues}
    keys = [key for name, model in {**shared, **settings.tables}.items() for key in _keys(model, (name,), layers)]
    prefix = tuple(table.split(".")) if table else ()
    return [key for key in keys if key.path[: len(prefix)] == prefix]


def nested_values(keys: Sequence[ConfigKey]) -> dict[str, Any]:
    """Return the values nested by table."""
    root: dict[str, Any] = {}
    for key in keys:
        node = root
        for part in key.path[:-1]:
            node = node.setdefault(part, {})
        node[key.path[-1]] = key.value
    return root


def json_schema() -> Mapping[str, Any]:
    """Return the JSON schema of all tables."""
    tables = {"account": AccountConfig, "runtime": RuntimeConfig, "venues": VenuesConfig, **table_models()}
    fields: dict[str, Any] = {name: (model, ...) for name, model in tables.items()}
    schema: dict[str, Any] = create_model("Configuration", **fields).model_json_schema()
    return schema


def table_models() -> Mapping[str, type[BaseModel]]:
    """Return the model of each table that must be valid before any process starts."""
    return {
        "market_data": MarketDataConfig,
        "signals": SignalsConfig,
        "risk": RiskConfig,
        "execution": ExecutionConfig,
    }


def _keys(model: BaseModel, above: KeyPath, layers: ConfigLayers) -> Iterator[ConfigKey]:
    for name in type(model).model_fields:
        value, path = getattr(model, name), (*above, name)
        if isinstance(value, BaseModel):
            yield from _keys(value, path, layers)
        else:
            yield ConfigKey(path, value, layers.origin(path))


def _toml(value: Any) -> str:  # noqa: ANN401  # whatever a key may hold
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    return msgspec.json.encode(value, enc_hook=str).decode()
