"""The result of one check."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a finding means for `xtrader up`."""

    OK = "ok"
    WARNING = "warning"
    BLOCKER = "blocker"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was checked, what was found, and how to fix it."""

    subject: str
    severity: Severity
    found: str
    fix: str = ""

    @property
    def is_blocker(self) -> bool:
        """Whether `up` would not start."""
        return self.severity is Severity.BLOCKER

    def text_lines(self) -> list[str]:
        """Return the lines for a person."""
        head = f"{self.severity:<8} {self.subject:<12} {self.found}"
        return [head, f"{'':<8} {'':<12} fix: {self.fix}"] if self.fix else [head]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for the JSON output."""
        return asdict(self)


def ok(subject: str, found: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(subject, Severity.OK, found)


def warning(subject: str, found: str, fix: str) -> Finding:
    """Return a finding that does not prevent `up` from running."""
    return Finding(subject, Severity.WARNING, found, fix)


def blocker(subject: str, found: str, fix: str) -> Finding:
    """Return a finding that prevents `up` from running."""
    return Finding(subject, Severity.BLOCKER, found, fix)
