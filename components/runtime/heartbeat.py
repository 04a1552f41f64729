"""Saying that we are alive: once a second the place of each stream, and on `health` what we still wait for."""

from typing import Final

from components.contracts.health import ComponentHealth
from components.contracts.topics import HEALTH, HEARTBEAT_MS
from components.runtime.bus import Bus
from components.runtime.clock import Clock

NS_PER_MS: Final = 1_000_000


class HealthPublisher:
    """Speaks at once when readiness changes, and otherwise every HEARTBEAT_MS."""

    def __init__(self, bus: Bus, clock: Clock, component: str, version: str) -> None:
        self._bus, self._clock, self._component, self._version = bus, clock, component, version
        self._due_at_ns = 0
        self.last_health = ComponentHealth(component, version, ("starting",), (), 0)

    def publish_if_due(self, unmet: tuple[str, ...], now_ns: int) -> None:
        """Let time pass; `now_ns` is monotonic."""
        is_due = now_ns >= self._due_at_ns
        if is_due:
            self._due_at_ns = now_ns + HEARTBEAT_MS * NS_PER_MS
            self._bus.publish_heartbeats()
        if is_due or unmet != self.last_health.unmet:
            self.last_health = ComponentHealth(
                self._component, self._version, unmet, self._bus.offsets(), self._clock.now_ns()
            )
            self._bus.publish(HEALTH, self.last_health)
