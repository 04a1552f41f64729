"""A log that stores its events for a test."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class CapturedLog:
    lines: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def debug(self, event: str, **facts: Any) -> None:
        self.lines.append(("debug", event, facts))

    def info(self, event: str, **facts: Any) -> None:
        self.lines.append(("info", event, facts))

    def warning(self, event: str, **facts: Any) -> None:
        self.lines.append(("warning", event, facts))

    def error(self, event: str, **facts: Any) -> None:
        self.lines.append(("error", event, facts))

    def critical(self, event: str, **facts: Any) -> None:
        self.lines.append(("critical", event, facts))
