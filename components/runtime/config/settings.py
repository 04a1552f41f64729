"""Configuration: base.toml, overlaid by <env>.toml, overlaid by the environment, checked into frozen models."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from components.contracts.errors import ConfigError
from components.runtime.config_problems import disallowed_venue_urls, format_errors
from components.runtime.layers import KeyPath, Layer, merge, read_file, read_variables
from components.runtime.places import Paths, choose_run_dir, fits_socket_paths
from components.runtime.tables import AccountConfig, RuntimeConfig, VenuesConfig
from components.runtime.told import read_overlay
from components.runtime.venue_hosts import LiveTradingSwitches, VenueHostPolicy

M = TypeVar("M", bound=BaseModel)

BASE: Final = "base"
DEFAULT_ENV: Final = "dev"
SHARED_PACKAGES: Final = frozenset({"contracts", "runtime"})
COMPONENTS_DIR: Final = Path(__file__).resolve().parents[1]
SYSTEM_TEMPORARY: Final = "/tmp"  # noqa: S108  # our own folder in it is private and its owner is checked


class SharedTables(BaseSettings):
    """The tables that every process reads; its component's own table is added when it is checked."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    account: AccountConfig
    runtime: RuntimeConfig
    venues: VenuesConfig


class LayerSource(PydanticBaseSettingsSource):
    """Hands one layer to pydantic-settings, without the tables of components that are not being checked."""

    def __init__(self, settings_type: type[BaseSettings], layer: Layer, *, unread: frozenset[str]) -> None:
        """Keep the layer's tables that are read here."""
        super().__init__(settings_type)
        self._values = {name: value for name, value in layer.values.items() if name not in unread}

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Give one table."""
        return self._values.get(field_name), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        """Give every table, known or not: the unknown ones are to be refused."""
        return self._values


@dataclass(frozen=True, slots=True)
class Settings:
    """A configuration that was checked."""

    paths: Paths
    account: AccountConfig
    runtime: RuntimeConfig
    venues: VenuesConfig
    venue_policy: VenueHostPolicy
    tables: Mapping[str, BaseModel]
    """The components' own tables that were asked for, by name."""

    def table(self, name: str, model: type[M]) -> M:
        """Give a component's table as its model."""
        found = self.tables[name]
        if not isinstance(found, model):
            raise ConfigError(f"{name}: was checked as {type(found).__name__}, not as {model.__name__}")
        return found


@dataclass(frozen=True, slots=True)
class ConfigLayers:
    """What was read and is not yet checked; read once, so that a process never sees two versions."""

    folder: Path
    env: str
    environ: Mapping[str, str] = field(repr=False)
    weakest_first: Sequence[Layer]

    @property
    def root(self) -> Path:
        """The folder that the config folder is in; relative paths start here."""
        return self.folder.parent

    def merged(self) -> dict[str, Any]:
        """Lay the layers over each other, unchecked."""
        return reduce(merge, (layer.values for layer in self.weakest_first), {})

    def origin(self, path: KeyPath) -> str:
        """Name the file or variable that decides this key."""
        origins = (layer.origin(path) for layer in reversed(self.weakest_first))
        return next((origin for origin in origins if origin), f"{self.folder.name}/{BASE}.toml")

    def validate(self, models: Mapping[str, type[BaseModel]]) -> Settings:
        """Check the shared tables and these components' own, or tell every mistake at once, one line each."""
        settings_type = self._settings_type(models)
        try:
            checked = settings_type.model_validate({})
        except ValidationError as error:
            raise ConfigError("\n".join(format_errors(error, settings_type, self.origin))) from None
        gate = self._venue_policy(checked)
        if lines := disallowed_venue_urls(checked, gate, self.origin):
            raise ConfigError("\n".join(lines))
        tables = {name: getattr(checked, name) for name in models}
        return Settings(self._paths(checked), checked.account, checked.runtime, checked.venues, gate, tables)

    def _settings_type(self, models: Mapping[str, type[BaseModel]]) -> type[SharedTables]:
        unread = component_names() - set(models)
        layers = self.weakest_first

        class Layered(SharedTables):
            @override
            @classmethod
            def settings_customise_sources(
                cls,
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                dotenv_settings: PydanticBaseSettingsSource,
                file_secret_settings: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return tuple(LayerSource(settings_cls, layer, unread=unread) for layer in reversed(layers))

        fields: dict[str, Any] = {name: (model, ...) for name, model in models.items()}
        return create_model("Configuration", __base__=Layered, **fields)

    def _venue_policy(self, checked: SharedTables) -> VenueHostPolicy:
        switches = LiveTradingSwitches(
            env=self.env,
            account=checked.account.name,
            config=checked.venues.live_trading,
            environment=self.environ.get("XTRADER_LIVE_TRADING", ""),
            file=_text(self._state_folder(checked) / "keys" / "live"),
        )
        return VenueHostPolicy(checked.venues.allowed_hosts, switches)

    def _paths(self, checked: SharedTables) -> Paths:
        state, account = self._state_folder(checked), checked.account.name
        return Paths(
            root=self.root,
            env=self.env,
            account=account,
            state=state / self.env / account,
            run=self._run_folder(checked),
            keys=state / "keys",
        )

    def _state_folder(self, checked: SharedTables) -> Path:
        return self.root / checked.runtime.state_dir

    def _run_folder(self, checked: SharedTables) -> Path:
        if not checked.runtime.run_dir:
            named = (self.environ.get(name) for name in ("XDG_RUNTIME_DIR", "TMPDIR"))
            bases = [Path(one) for one in (*named, SYSTEM_TEMPORARY) if one]
            return choose_run_dir(bases, root=self.root, env=self.env, account=checked.account.name)
        folder = self.root / checked.runtime.run_dir
        if not fits_socket_paths(folder):
            where = self.origin(("runtime", "run_dir"))
            raise ConfigError(f"{where}: runtime.run_dir: {folder}: is too long for the paths of sockets in it")
        return folder


def read_layers(environ: Mapping[str, str] | None = None) -> ConfigLayers:
    """Read the files and the variables; every file that cannot be read is told."""
    environ = dict(os.environ) if environ is None else environ
    folder, env = _config_folder(environ), _environment_name(environ)
    files, problems = [], []
    for path in (folder / f"{BASE}.toml", folder / f"{env}.toml"):
        try:
            files.append(read_file(path))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    spelled: dict[str, Any] = reduce(merge, (layer.values for layer in files), {})
    return ConfigLayers(folder, env, environ, (*files, read_variables(environ, spelled)))


def read_layers_with_overlay(environ: Mapping[str, str] | None = None) -> ConfigLayers:
    """Read as a verb does: where `xtrader up` runs on the same run folder, its children's venue is the verb's too."""
    layers = read_layers(environ)
    told = read_overlay(layers.validate({}).paths)
    return read_layers({**layers.environ, **told}) if told else layers


def load_settings(
    models: Mapping[str, type[BaseModel]] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read and check in one go: the shared tables, and the own tables of these components."""
    return read_layers(environ).validate(models or {})


def check_all(models: Mapping[str, type[BaseModel]]) -> Settings:
    """Check the tables of all these components together."""
    return load_settings(models)


def component_names() -> frozenset[str]:
    """List the executables: each may own the table of its name."""
    return frozenset(room.parent.name for room in COMPONENTS_DIR.glob("*/__init__.py")) - SHARED_PACKAGES


def _config_folder(environ: Mapping[str, str]) -> Path:
    folder = Path(environ.get("XTRADER_CONFIG_DIR") or COMPONENTS_DIR.parent / "config").resolve()
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder of configuration; name it in XTRADER_CONFIG_DIR")
    return folder


def _environment_name(environ: Mapping[str, str]) -> str:
    name = environ.get("XTRADER_ENV") or DEFAULT_ENV
    if name == BASE or not re.fullmatch(r"[a-z][a-z0-9_-]{0,15}", name):
        raise ConfigError(f"XTRADER_ENV: {name!r} names no environment; one is a file beside base.toml, as dev or prod")
    return name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def disable_telemetry() -> None:
    """Keep libraries from reporting home: each looks for its variable when it is first imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def child_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """Give this process's environment with some variables replaced, for a child."""
    return {**os.environ, **overrides}
