"""The layers of the configuration (files, variables, overlay of a running `xtrader up`) with the origin of each key.

The overlay holds the sandbox's addresses and keys, which exist only while `up` runs.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from components.contracts.errors import ConfigError
from components.runtime.filesystem import write_atomic
from components.runtime.paths import Paths

KeyPath: TypeAlias = tuple[str, ...]
VARIABLE_PREFIX: Final = "XTRADER__"
SEPARATOR: Final = "__"
OVERLAY_FILE: Final = "environment.json"


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of keys: a file, or all environment variables together."""

    values: dict[str, Any]
    origins: dict[KeyPath, str]

    def origin(self, path: KeyPath) -> str | None:
        """Return where this layer sets the key or the table that contains it, or None."""
        below = next((origin for leaf, origin in self.origins.items() if leaf[: len(path)] == path), None)
        return below or next((origin for leaf, origin in self.origins.items() if path[: len(leaf)] == leaf), None)


class EnvironmentOverlay(Struct, frozen=True):
    """Environment variables that are valid while the process that wrote them is alive."""

    pid: int
    variables: dict[str, str]


def read_file(path: Path) -> Layer:
    """Read a TOML file. Fractions become Decimal, so that no limit is a float."""
    label = f"{path.parent.name}/{path.name}"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(f"{label}: no such file in {path.parent.parent}") from None
    except OSError as error:
        raise ConfigError(f"{label}: {error.strerror or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{label}: not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label}: not valid UTF-8: {error}") from error
    return Layer(values, dict.fromkeys(_leaves(values, ()), label))


def read_variables(environ: Mapping[str, str], file_values: Mapping[str, Any]) -> Layer:
    """Read the XTRADER__TABLE__KEY variables. A key that the files contain keeps their spelling."""
    values: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    for name in sorted(name for name in environ if name.startswith(VARIABLE_PREFIX)):
        path = _key_path(name, file_values)
        _put(values, path, parse_value(environ[name]), name)
        origins[path] = name
    return Layer(values, origins)


def parse_value(text: str) -> Any:  # noqa: ANN401  # any TOML value
    """Parse a text as a TOML scalar or array; return any other text unchanged."""
    try:
        parsed = tomllib.loads(f"value = {text}", parse_float=Decimal)
    except tomllib.TOMLDecodeError:
        return text
    return text if set(parsed) != {"value"} or isinstance(parsed["value"], dict) else parsed["value"]


def merge(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two trees of tables, key by key; the stronger one wins."""
    merged = dict(weaker)
    for key, value in stronger.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def write_overlay(paths: Paths, variables: Mapping[str, str]) -> None:
    """Write the variables (mode 0600) for commands on the same run folder. Only keys of a sandbox may be written."""
    write_atomic(_overlay_path(paths), msgspec.json.encode(EnvironmentOverlay(os.getpid(), dict(variables))))


def read_overlay(paths: Paths) -> Mapping[str, str]:
    """Return the variables of a running `xtrader up`, or an empty mapping."""
    try:
        overlay = msgspec.json.decode(_overlay_path(paths).read_bytes(), type=EnvironmentOverlay)
        os.kill(overlay.pid, 0)
    except (OSError, msgspec.MsgspecError, ValueError):
        return {}
    return overlay.variables


def remove_overlay(paths: Paths) -> None:
    """Remove the overlay at the end of `xtrader up`."""
    _overlay_path(paths).unlink(missing_ok=True)


def _leaves(values: Mapping[str, Any], above: KeyPath) -> Iterator[KeyPath]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _key_path(name: str, file_values: Mapping[str, Any]) -> KeyPath:
    parts = name.removeprefix(VARIABLE_PREFIX).split(SEPARATOR)
    if len(parts) < 2 or not all(parts):
        raise ConfigError(f"{name}: must have the form XTRADER__TABLE__KEY")
    path: KeyPath = ()
    node: Any = file_values
    for part in parts:
        known = {key.lower(): key for key in node} if isinstance(node, dict) else {}
        path = (*path, known.get(part.lower(), part.lower()))
        node = node.get(path[-1]) if isinstance(node, dict) else None
    return path


def _put(values: dict[str, Any], path: KeyPath, value: object, name: str) -> None:
    node = values
    for part in path[:-1]:
        node = node.setdefault(part, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{name}: another variable already sets {part}")
    node[path[-1]] = value


def _overlay_path(paths: Paths) -> Path:
    return paths.run / OVERLAY_FILE
