"""How a running process is seen from outside: lock, manifest, ready file, health pages, watchdog."""

import os
from collections.abc import Mapping
from contextlib import ExitStack

from components.runtime.clock import Clock
from components.runtime.config import Settings
from components.runtime.disk import REAL_DISK
from components.runtime.health import HealthServer, pages_of
from components.runtime.manifest import Manifest, remove_manifest, write_manifest
from components.runtime.metrics import Metrics
from components.runtime.pulse import Pulse
from components.runtime.watchdog import Watchdog


class Presence:
    """Begins when it is made and ends when `held` is closed; Busy names the process that is there already."""

    def __init__(self, name: str, version: str, settings: Settings, clock: Clock, held: ExitStack) -> None:
        """Take the lock first: everything else is ours only behind it."""
        self._name, self._version, self._places = name, version, settings.places
        self._started_at_ns = clock.now_ns()
        self._endpoints: dict[str, str] = {}
        settings.places.make()
        held.callback(REAL_DISK.close, REAL_DISK.lock(settings.places.lock(name)))
        self.metrics = Metrics(name, version)
        self.pulse = Pulse(clock, settings.places.ready(name), self.metrics.ready)
        held.callback(self._end)
        self._watch(settings.runtime.watchdog_ms_max, held)
        self._health = self._open_health(settings, clock, held)
        self.announce({})

    def announce(self, endpoints: Mapping[str, str]) -> None:
        """Say where peers and verbs reach this process, by the name of each duty."""
        self._endpoints.update(endpoints)
        manifest = Manifest(
            name=self._name,
            pid=os.getpid(),
            version=self._version,
            started_at_ns=self._started_at_ns,
            env=self._places.env,
            account=self._places.account,
            health_host=self._health.host,
            health_port=self._health.port,
            endpoints=self._endpoints,
        )
        write_manifest(self._places, manifest)

    def vanish(self) -> None:
        """Take away what says that we are there, without waiting for anything: a signal handler may call it."""
        for path in (self._places.manifest(self._name), self._places.ready(self._name)):
            path.unlink(missing_ok=True)

    def _end(self) -> None:
        self.pulse.stop()
        remove_manifest(self._places, self._name)

    def _watch(self, bound_ms: int, held: ExitStack) -> None:
        watchdog = Watchdog(self.pulse, bound_ms)
        watchdog.start()
        held.callback(watchdog.close)

    def _open_health(self, settings: Settings, clock: Clock, held: ExitStack) -> HealthServer:
        runtime = settings.runtime
        pages = pages_of(self.pulse, self.metrics, stale_ms=runtime.watchdog_ms_max)
        server = HealthServer(pages, clock, host=runtime.health_host, port=runtime.health_port)
        server.start()
        held.callback(server.close)
        return server
