"""When a child that died is started again."""

from dataclasses import dataclass, replace
from typing import Final

FIRST_MS: Final = 250
MOST_MS: Final = 5_000
STEADY_MS: Final = 30_000
"""A child that lived this long starts again as if it had never died."""

PERMANENT: Final = frozenset({64, 65, 78})
"""Usage, damaged data, configuration: another start would end the same way."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How often a child died in a row."""

    deaths: int = 0

    @property
    def delay_ms(self) -> int:
        """How long to wait before the next start."""
        return 0 if self.deaths == 0 else min(MOST_MS, FIRST_MS * 2 ** (self.deaths - 1))

    def after_death(self, *, lived_ms: int) -> "Lives":
        """Count one death, forgetting earlier ones if it lived long."""
        return replace(self, deaths=1 if lived_ms >= STEADY_MS else self.deaths + 1)
