"""When a child that died is started again."""

from dataclasses import dataclass, replace
from typing import Final

RESTART_DELAY_MS_FIRST: Final = 250
RESTART_DELAY_MS_MAX: Final = 5_000
STABLE_MS_MIN: Final = 30_000
"""A child that lived this long starts again as if it had never died."""

PERMANENT_EXIT_CODES: Final = frozenset({64, 65, 78})
"""Usage, damaged data, configuration: another start would end the same way."""


@dataclass(frozen=True, slots=True)
class RestartBackoff:
    """How often a child died in a row."""

    failures: int = 0

    @property
    def delay_ms(self) -> int:
        """How long to wait before the next start."""
        return 0 if self.failures == 0 else min(RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_FIRST * 2 ** (self.failures - 1))

    def after_exit(self, *, uptime_ms: int) -> "RestartBackoff":
        """Count one death, forgetting earlier ones if it lived long."""
        return replace(self, failures=1 if uptime_ms >= STABLE_MS_MIN else self.failures + 1)
