"""Validation of the configuration: base.toml, then <env>.toml, then the environment, into frozen settings.

Every mistake is reported in one line: where, which key, which value, and what would be allowed.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from functools import reduce
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from typing_extensions import override

from components.contracts.errors import ConfigError
from components.contracts.values import format_decimal
from components.runtime.config.layers import KeyPath, Layer, merge, read_file, read_overlay, read_variables
from components.runtime.config.schema import AccountConfig, Redacted, RuntimeConfig, VenuesConfig, VenueUrlMarker
from components.runtime.config.venue_hosts import LiveTradingSwitches, VenueHostPolicy
from components.runtime.paths import Paths, choose_run_dir, fits_socket_paths

M = TypeVar("M", bound=BaseModel)
Origin: TypeAlias = Callable[[KeyPath], str]
BASE: Final = "base"
DEFAULT_ENV: Final = "dev"
SHARED_PACKAGES: Final = frozenset({"contracts", "runtime"})
COMPONENTS_DIR: Final = Path(__file__).resolve().parents[2]
SYSTEM_TEMPORARY: Final = "/tmp"  # noqa: S108  # our own folder in it is private and its owner is checked
KINDS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    str: "a text",
}
BOUNDS: Final = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
VALUE_LENGTH_MAX: Final = 60


class SharedTables(BaseSettings):
    """The tables that every process reads; the tables of components are added for the validation."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    account: AccountConfig
    runtime: RuntimeConfig
    venues: VenuesConfig


class LayerSource(PydanticBaseSettingsSource):
    """Passes one layer to pydantic-settings, without the tables of components that are not being validated."""

    def __init__(self, settings_type: type[BaseSettings], layer: Layer, *, ignored: frozenset[str]) -> None:
        """Keep the tables of the layer that are validated here."""
        super().__init__(settings_type)
        self._values = {name: value for name, value in layer.values.items() if name not in ignored}

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return one table."""
        return self._values.get(field_name), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        """Return every table, known or not, because unknown ones must be reported."""
        return self._values


@dataclass(frozen=True, slots=True)
class Settings:
    """A validated configuration."""

    paths: Paths
    account: AccountConfig
    runtime: RuntimeConfig
    venues: VenuesConfig
    venue_policy: VenueHostPolicy
    tables: Mapping[str, BaseModel]
    """The requested tables of components, by name."""

    def table(self, name: str, model: type[M]) -> M:
        """Return a component's table as its model."""
        found = self.tables[name]
        if not isinstance(found, model):
            raise ConfigError(f"{name}: was validated as {type(found).__name__}, not as {model.__name__}")
        return found


@dataclass(frozen=True, slots=True)
class ConfigLayers:
    """What was read and is not validated yet. It is read once, so that a process never sees two versions."""

    folder: Path
    env: str
    environ: Mapping[str, str] = field(repr=False)
    weakest_first: Sequence[Layer]

    @property
    def root(self) -> Path:
        """The folder that contains the config folder; relative paths start here."""
        return self.folder.parent

    def origin(self, path: KeyPath) -> str:
        """Return the file or variable that sets this key."""
        origins = (layer.origin(path) for layer in reversed(self.weakest_first))
        return next((origin for origin in origins if origin), f"{self.folder.name}/{BASE}.toml")

    def validate(self, models: Mapping[str, type[BaseModel]]) -> Settings:
        """Validate the shared tables and those of these components.

        Raises ConfigError with one line for each mistake.
        """
        settings_type = self._settings_type(models)
        try:
            checked = settings_type.model_validate({})
        except ValidationError as error:
            raise ConfigError("\n".join(format_errors(error, settings_type, self.origin))) from None
        policy = self._venue_policy(checked)
        if lines := disallowed_venue_urls(checked, policy, self.origin):
            raise ConfigError("\n".join(lines))
        tables = {name: getattr(checked, name) for name in models}
        return Settings(self._paths(checked), checked.account, checked.runtime, checked.venues, policy, tables)

    def _settings_type(self, models: Mapping[str, type[BaseModel]]) -> type[SharedTables]:
        ignored = component_names() - set(models)
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
                return tuple(LayerSource(settings_cls, layer, ignored=ignored) for layer in reversed(layers))

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
            raise ConfigError(f"{where}: runtime.run_dir: {folder}: path too long for the sockets in it")
        return folder


def read_layers(environ: Mapping[str, str] | None = None) -> ConfigLayers:
    """Read the files and the variables. Raises ConfigError with one line for each file that cannot be read."""
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
    file_values: dict[str, Any] = reduce(merge, (layer.values for layer in files), {})
    return ConfigLayers(folder, env, environ, (*files, read_variables(environ, file_values)))


def read_layers_with_overlay(environ: Mapping[str, str] | None = None) -> ConfigLayers:
    """Read the layers as a command does: a running `xtrader up` on the same run folder adds its overlay."""
    layers = read_layers(environ)
    overlay = read_overlay(layers.validate({}).paths)
    return read_layers({**layers.environ, **overlay}) if overlay else layers


def load_settings(
    models: Mapping[str, type[BaseModel]] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Read and validate the shared tables and the tables of these components."""
    return read_layers(environ).validate(models or {})


def component_names() -> frozenset[str]:
    """Return the names of the executables; each may own the table of its name."""
    return frozenset(package.parent.name for package in COMPONENTS_DIR.glob("*/__init__.py")) - SHARED_PACKAGES


def disable_telemetry() -> None:
    """Disable the telemetry of libraries. Each reads its variable when it is first imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def child_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with some variables replaced, for a child process."""
    return {**os.environ, **overrides}


def format_errors(error: ValidationError, model: type[BaseModel], origin: Origin) -> list[str]:
    """Return one line for each mistake, without duplicates."""
    lines = []
    for detail in error.errors(include_url=False, include_context=False):
        path = tuple(str(part) for part in detail["loc"])
        lines.append(f"{origin(path)}: {'.'.join(path)}: {_problem(dict(detail), path, model)}")
    return list(dict.fromkeys(lines))


def disallowed_venue_urls(checked: BaseModel, policy: VenueHostPolicy, origin: Origin) -> list[str]:
    """Return one line for each configured venue URL that may not be used."""
    return [
        f"{origin(path)}: {'.'.join(path)}: {url}: {problem}"
        for path, url in _venue_urls(checked, ())
        if (problem := policy.violation(url))
    ]


def _config_folder(environ: Mapping[str, str]) -> Path:
    folder = Path(environ.get("XTRADER_CONFIG_DIR") or COMPONENTS_DIR.parent / "config").resolve()
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such configuration folder; set XTRADER_CONFIG_DIR")
    return folder


def _environment_name(environ: Mapping[str, str]) -> str:
    name = environ.get("XTRADER_ENV") or DEFAULT_ENV
    if name == BASE or not re.fullmatch(r"[a-z][a-z0-9_-]{0,15}", name):
        raise ConfigError(
            f"XTRADER_ENV: {name!r} is not the name of an environment, such as dev or prod (a file beside base.toml)"
        )
    return name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _venue_urls(model: BaseModel, above: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    for name, model_field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _venue_urls(value, (*above, name))
        elif any(isinstance(mark, VenueUrlMarker) for mark in model_field.metadata):
            yield (*above, name), value


def _problem(detail: dict[str, Any], path: KeyPath, model: type[BaseModel]) -> str:
    field = _field(model, path)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(path, model)
    if detail["type"] == "missing":
        return f"is missing{_allowed(field, ' (', ')')}"
    rule = _allowed(field, "must be ", "") if _is_type_or_range_error(detail["type"]) else ""
    rule = rule or _rule_text(detail["msg"])
    if field is not None and any(isinstance(mark, Redacted) for mark in field.metadata):
        return rule
    return f"{_value_text(detail['input'])}: {rule}"


def _unknown_key(path: KeyPath, model: type[BaseModel]) -> str:
    holder = _model(model, path[:-1])
    known = list(holder.model_fields) if holder else []
    near = get_close_matches(path[-1], known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"no such {'table' if len(path) == 1 else 'key'}{hint}"


def _model(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    for name in path:
        field = model.model_fields.get(name)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    return model


def _field(model: type[BaseModel], path: KeyPath) -> FieldInfo | None:
    holder = _model(model, path[:-1])
    return holder.model_fields.get(path[-1]) if holder and path else None


def _is_type_or_range_error(error_type: str) -> bool:
    ranges = ("greater_than", "less_than", "finite_number", "int_from_float", "enum", "decimal_")
    return error_type.startswith(ranges) or error_type.endswith(("_type", "_parsing"))


def _allowed(field: FieldInfo | None, before: str, after: str) -> str:
    if field is None:
        return ""
    kind = _kind(field.annotation)
    bounds = " and ".join(
        f"{words} {_number(getattr(mark, key))}"
        for mark in field.metadata
        for key, words in BOUNDS.items()
        if hasattr(mark, key)
    )
    words = ", ".join(part for part in (kind, bounds) if part)
    return f"{before}{words}{after}" if words else ""


def _number(bound: object) -> str:
    return format_decimal(bound) if isinstance(bound, Decimal) else str(bound)


def _kind(annotation: object) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"one of {', '.join(str(member.value) for member in annotation)}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "a table"
    return KINDS.get(annotation, "")


def _rule_text(message: str) -> str:
    message = message.removeprefix("Value error, ")
    subject, should, rest = message.partition(" should ")
    return f"must {rest}" if should and " " not in subject else message


def _value_text(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[:VALUE_LENGTH_MAX]}…"
