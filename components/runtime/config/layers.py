"""What was written down about the configuration, layer over layer, with the origin of each key.

What a running `up` told its children beside the configuration: the sandbox's address and keys.
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


@dataclass(frozen=True, slots=True)
class Layer:
    """One source of keys: a file, or all the variables together."""

    values: dict[str, Any]
    origins: dict[KeyPath, str]

    def origin(self, path: KeyPath) -> str | None:
        """Name where the key, or what holds it, was written here; None where this layer says nothing of it."""
        below = next((origin for leaf, origin in self.origins.items() if leaf[: len(path)] == path), None)
        return below or next((origin for leaf, origin in self.origins.items() if path[: len(leaf)] == leaf), None)


def read_file(path: Path) -> Layer:
    """Read a TOML file; its fractions become Decimal, so that no limit is ever a float."""
    label = f"{path.parent.name}/{path.name}"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(f"{label}: no such file in {path.parent.parent}") from None
    except OSError as error:
        raise ConfigError(f"{label}: {error.strerror or error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{label}: is not TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{label}: is not UTF-8: {error}") from error
    return Layer(values, dict.fromkeys(_leaves(values, ()), label))


def read_variables(environ: Mapping[str, str], spelled: Mapping[str, Any]) -> Layer:
    """Read XTRADER__TABLE__KEY variables; a key that the files have keeps their spelling."""
    values: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    for name in sorted(name for name in environ if name.startswith(VARIABLE_PREFIX)):
        path = _key_path(name, spelled)
        _put(values, path, parse_value(environ[name]), name)
        origins[path] = name
    return Layer(values, origins)


def parse_value(text: str) -> Any:  # noqa: ANN401  # whatever TOML can say
    """Read a text as a TOML scalar or array; any other text is itself."""
    try:
        parsed = tomllib.loads(f"value = {text}", parse_float=Decimal)
    except tomllib.TOMLDecodeError:
        return text
    return text if set(parsed) != {"value"} or isinstance(parsed["value"], dict) else parsed["value"]


def merge(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree of tables over another, key by key."""
    merged = dict(weaker)
    for key, value in stronger.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _leaves(values: Mapping[str, Any], above: KeyPath) -> Iterator[KeyPath]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key)


def _key_path(name: str, spelled: Mapping[str, Any]) -> KeyPath:
    parts = name.removeprefix(VARIABLE_PREFIX).split(SEPARATOR)
    if len(parts) < 2 or not all(parts):
        raise ConfigError(f"{name}: is not of the form XTRADER__TABLE__KEY")
    path: KeyPath = ()
    node: Any = spelled
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
            raise ConfigError(f"{name}: another variable already says what {part} is")
    node[path[-1]] = value


OVERLAY_FILE: Final = "environment.json"


class EnvironmentOverlay(Struct, frozen=True):
    """Variables that hold as long as the process that told them lives."""

    pid: int
    variables: dict[str, str]


def write_overlay(paths: Paths, variables: Mapping[str, str]) -> None:
    """Leave them (0600) for the verbs of the same run folder; only a sandbox's keys may be left so."""
    write_atomic(_overlay_path(paths), msgspec.json.encode(EnvironmentOverlay(os.getpid(), dict(variables))))


def read_overlay(paths: Paths) -> Mapping[str, str]:
    """Give what a living `up` told; nothing where none does."""
    try:
        told = msgspec.json.decode(_overlay_path(paths).read_bytes(), type=EnvironmentOverlay)
        os.kill(told.pid, 0)
    except (OSError, msgspec.MsgspecError, ValueError):
        return {}
    return told.variables


def remove_overlay(paths: Paths) -> None:
    """Take it away at the end."""
    _overlay_path(paths).unlink(missing_ok=True)


def _overlay_path(paths: Paths) -> Path:
    return paths.run / OVERLAY_FILE
