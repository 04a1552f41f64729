"""One thing that the doctor looked at."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a finding means for `up`."""

    OK = "fine"
    WARNING = "worth knowing"
    BLOCKER = "stops up"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and how to mend it."""

    subject: str
    severity: Severity
    found: str
    fix: str = ""

    @property
    def is_blocker(self) -> bool:
        """Say whether `up` would not run."""
        return self.severity is Severity.BLOCKER

    def text_lines(self) -> list[str]:
        """Give what a person reads."""
        head = f"{self.severity:<14} {self.subject:<12} {self.found}"
        return [head, f"{'':<14} {'':<12} mend: {self.fix}"] if self.fix else [head]

    def as_dict(self) -> dict[str, Any]:
        """Give names and values."""
        return asdict(self)


def ok(subject: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, Severity.OK, found)


def warning(subject: str, found: str, fix: str) -> Finding:
    """Something that `up` can live with."""
    return Finding(subject, Severity.WARNING, found, fix)


def blocker(subject: str, found: str, fix: str) -> Finding:
    """Something that `up` would trip over."""
    return Finding(subject, Severity.BLOCKER, found, fix)
