"""One thing that the doctor looked at."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a finding means for `up`."""

    FINE = "fine"
    WORTH_KNOWING = "worth knowing"
    STOPS_UP = "stops up"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, what was found, and how to mend it."""

    subject: str
    severity: Severity
    found: str
    mend: str = ""

    @property
    def stops(self) -> bool:
        """Say whether `up` would not run."""
        return self.severity is Severity.STOPS_UP

    def lines(self) -> list[str]:
        """Give what a person reads."""
        head = f"{self.severity:<14} {self.subject:<12} {self.found}"
        return [head, f"{'':<14} {'':<12} mend: {self.mend}"] if self.mend else [head]

    def plain(self) -> dict[str, Any]:
        """Give names and values."""
        return asdict(self)


def fine(subject: str, found: str) -> Finding:
    """Nothing to do."""
    return Finding(subject, Severity.FINE, found)


def worth_knowing(subject: str, found: str, mend: str) -> Finding:
    """Something that `up` can live with."""
    return Finding(subject, Severity.WORTH_KNOWING, found, mend)


def stops_up(subject: str, found: str, mend: str) -> Finding:
    """Something that `up` would trip over."""
    return Finding(subject, Severity.STOPS_UP, found, mend)
