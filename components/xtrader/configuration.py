"""Every key of the checked configuration with its value and its origin, and the schema of all tables.

Every table of the configuration and the model that checks it.
"""

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
    """One key as it holds."""

    path: KeyPath
    value: Any
    origin: str

    @property
    def name(self) -> str:
        """Its path with dots."""
        return ".".join(self.path)

    def as_toml(self) -> str:
        """Write it as TOML would."""
        return f"{self.name} = {_toml(self.value)}"


def list_keys(table: str | None = None, environ: Mapping[str, str] | None = None) -> list[ConfigKey]:
    """List every key that holds, or those of one table; a configuration that is wrong is refused as everywhere."""
    layers = read_layers(environ)
    settings = layers.validate(table_models())
    shared = {"account": settings.account, "runtime": settings.runtime, "venues": settings.venues}
    found = [key for name, model in {**shared, **settings.tables}.items() for key in _keys(model, (name,), layers)]
    wanted = tuple(table.split(".")) if table else ()
    return [key for key in found if key.path[: len(wanted)] == wanted]


def nested_values(keys: Sequence[ConfigKey]) -> dict[str, Any]:
    """Put the keys back into their tables."""
    root: dict[str, Any] = {}
    for key in keys:
        node = root
        for part in key.path[:-1]:
            node = node.setdefault(part, {})
        node[key.path[-1]] = key.value
    return root


def json_schema() -> Mapping[str, Any]:
    """Give the JSON schema of all tables together."""
    tables = {"account": AccountConfig, "runtime": RuntimeConfig, "venues": VenuesConfig, **table_models()}
    fields: dict[str, Any] = {name: (model, ...) for name, model in tables.items()}
    schema: dict[str, Any] = create_model("Configuration", **fields).model_json_schema()
    return schema


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


def table_models() -> Mapping[str, type[BaseModel]]:
    """Name the tables that must all be right before anything starts."""
    return {
        "market_data": MarketDataConfig,
        "signals": SignalsConfig,
        "risk": RiskConfig,
        "execution": ExecutionConfig,
    }
