"""How a running process is seen from outside: lock, manifest, ready file, health pages, watchdog."""

import os
from collections.abc import Mapping
from contextlib import ExitStack

from components.runtime.clock import Clock
from components.runtime.config import Settings
from components.runtime.disk import REAL_DISK
from components.runtime.health import HealthServer, health_pages
from components.runtime.manifest import Manifest, remove_manifest, write_manifest
from components.runtime.metrics import Metrics
from components.runtime.pulse import HealthState
from components.runtime.watchdog import Watchdog


class ProcessRegistration:
    """Begins when it is made and ends when `held` is closed; Busy names the process that is there already."""

    def __init__(self, name: str, version: str, settings: Settings, clock: Clock, held: ExitStack) -> None:
        """Take the lock first: everything else is ours only behind it."""
        self._name, self._version, self._paths = name, version, settings.paths
        self._started_at_ns = clock.now_ns()
        self._endpoints: dict[str, str] = {}
        settings.paths.create_run_dir()
        held.callback(REAL_DISK.close, REAL_DISK.lock(settings.paths.lock(name)))
        self.metrics = Metrics(name, version)
        self.health = HealthState(clock, settings.paths.ready(name), self.metrics.ready)
        held.callback(self._end)
        self._start_watchdog(settings.runtime.watchdog_ms_max, held)
        self._health_server = self._start_health_server(settings, clock, held)
        self.publish_endpoints({})

    def publish_endpoints(self, endpoints: Mapping[str, str]) -> None:
        """Say where peers and verbs reach this process, by the name of each duty."""
        self._endpoints.update(endpoints)
        manifest = Manifest(
            name=self._name,
            pid=os.getpid(),
            version=self._version,
            started_at_ns=self._started_at_ns,
            env=self._paths.env,
            account=self._paths.account,
            health_host=self._health_server.host,
            health_port=self._health_server.port,
            endpoints=self._endpoints,
        )
        write_manifest(self._paths, manifest)

    def unregister(self) -> None:
        """Take away what says that we are there, without waiting for anything: a signal handler may call it."""
        for path in (self._paths.manifest(self._name), self._paths.ready(self._name)):
            path.unlink(missing_ok=True)

    def _end(self) -> None:
        self.health.stop()
        remove_manifest(self._paths, self._name)

    def _start_watchdog(self, bound_ms: int, held: ExitStack) -> None:
        watchdog = Watchdog(self.health, bound_ms)
        watchdog.start()
        held.callback(watchdog.close)

    def _start_health_server(self, settings: Settings, clock: Clock, held: ExitStack) -> HealthServer:
        runtime = settings.runtime
        pages = health_pages(self.health, self.metrics, stale_ms=runtime.watchdog_ms_max)
        server = HealthServer(pages, clock, host=runtime.health_host, port=runtime.health_port)
        server.start()
        held.callback(server.close)
        return server
