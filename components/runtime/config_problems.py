"""What is wrong with a configuration, told to a person: where, which key, which value, what would be allowed."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from components.contracts.values import format_decimal
from components.runtime.layers import KeyPath
from components.runtime.venue_hosts import VenueHostPolicy, VenueUrlMarker

Origin: TypeAlias = Callable[[KeyPath], str]

KINDS: Final[dict[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    str: "a text",
}
BOUNDS: Final = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
VALUE_LENGTH_MAX: Final = 60


class Redacted:
    """Marks a configured value that no message may repeat."""


def format_errors(error: ValidationError, model: type[BaseModel], origin: Origin) -> list[str]:
    """Tell each mistake in one line, each once."""
    lines = []
    for mistake in error.errors(include_url=False, include_context=False):
        path = tuple(str(part) for part in mistake["loc"])
        lines.append(f"{origin(path)}: {'.'.join(path)}: {_problem(dict(mistake), path, model)}")
    return list(dict.fromkeys(lines))


def disallowed_venue_urls(checked: BaseModel, policy: VenueHostPolicy, origin: Origin) -> list[str]:
    """Tell each configured venue address that may not be used, in one line."""
    return [
        f"{origin(path)}: {'.'.join(path)}: {url}: {problem}"
        for path, url in _addresses(checked, ())
        if (problem := policy.violation(url))
    ]


def _addresses(model: BaseModel, above: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _addresses(value, (*above, name))
        elif any(isinstance(mark, VenueUrlMarker) for mark in field.metadata):
            yield (*above, name), value


def _problem(mistake: dict[str, Any], path: KeyPath, model: type[BaseModel]) -> str:
    field = _field(model, path)
    if mistake["type"] == "extra_forbidden":
        return _no_such(path, model)
    if mistake["type"] == "missing":
        return f"is missing{_allowed(field, ' (', ')')}"
    rule = _allowed(field, "must be ", "") if _is_of_kind(mistake["type"]) else ""
    rule = rule or _reworded(mistake["msg"])
    if field is not None and any(isinstance(mark, Redacted) for mark in field.metadata):
        return rule
    return f"{_shown(mistake['input'])}: {rule}"


def _no_such(path: KeyPath, model: type[BaseModel]) -> str:
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


def _is_of_kind(mistake: str) -> bool:
    ranges = ("greater_than", "less_than", "finite_number", "int_from_float", "enum", "decimal_")
    return mistake.startswith(ranges) or mistake.endswith(("_type", "_parsing"))


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


def _reworded(message: str) -> str:
    message = message.removeprefix("Value error, ")
    subject, should, rest = message.partition(" should ")
    return f"must {rest}" if should and " " not in subject else message


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= VALUE_LENGTH_MAX else f"{text[:VALUE_LENGTH_MAX]}…"
