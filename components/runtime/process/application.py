"""Runs an application in a process (bus, committer, service loop), and registers the process.

The registration consists of lock, manifest, ready file, health server and watchdog.
"""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from components.runtime.bus.bus import open_bus
from components.runtime.bus.transport import ipc_address, publisher_path, recovery_path, request_path
from components.runtime.clock import Clock
from components.runtime.config.settings import Settings
from components.runtime.filesystem import REAL_DISK
from components.runtime.journal.group_commit import GroupCommitter
from components.runtime.journal.journal import Journal
from components.runtime.metrics import Metrics
from components.runtime.process.health import HealthServer, HealthState, Watchdog, health_pages
from components.runtime.process.loop import LoopContext, run_async, run_blocking
from components.runtime.process.manifest import Manifest, remove_manifest, write_manifest
from components.runtime.process.shutdown import ShutdownSignals
from components.runtime.service import Service, StreamBindings, VenueClient, VenueEventSource


class ProcessContext(Protocol):
    """The parts of a process that an application uses."""

    name: str
    version: str
    clock: Clock
    settings: Settings
    log: FilteringBoundLogger
    metrics: Metrics
    health: HealthState
    signals: ShutdownSignals

    def publish_endpoints(self, endpoints: Mapping[str, str]) -> None:
        """Publish the socket addresses of this process in its manifest."""


@dataclass(frozen=True, slots=True)
class Application:
    """A service with its streams, its journal and its venue."""

    service: Service
    bindings: StreamBindings
    journal: Journal | None
    venue: VenueClient | None
    feed: VenueEventSource | None
    tick_ms: int


def run_application(context: ProcessContext, application: Application) -> None:
    """Open the bus, publish the endpoints, run the loop until it has drained.

    At the end sync the journal, then close the sockets.
    """
    run, drain_timeout_ms = context.settings.paths.run, context.settings.runtime.drain_timeout_ms
    with ExitStack() as held:
        records = application.journal.records if application.journal else None
        bus = open_bus(
            run,
            application.bindings,
            clock=context.clock,
            metrics=context.metrics,
            log=context.log,
            records=records,
        )
        held.callback(bus.close)
        committer = GroupCommitter(application.journal) if application.journal else None
        if committer is not None:
            held.callback(committer.close, drain_timeout_ms / 1000)
        context.publish_endpoints(endpoints_of(run, application.bindings))
        loop_context = LoopContext(
            component=context.name,
            version=context.version,
            service=application.service,
            bus=bus,
            clock=context.clock,
            log=context.log,
            committer=committer,
            venue=application.venue,
            feed=application.feed,
            tick_ms=application.tick_ms,
            report_health=context.health.report,
            should_stop=lambda: context.signals.requested,
            drain_timeout_ms=drain_timeout_ms,
        )
        has_venue = application.venue is not None or application.feed is not None
        (run_async if has_venue else run_blocking)(loop_context)


def endpoints_of(run: Path, bindings: StreamBindings) -> dict[str, str]:
    """Return the socket addresses of this process by purpose."""
    sockets = {
        "publications": publisher_path(run, bindings.component),
        "recovery": recovery_path(run, bindings.component),
    }
    request_sockets = {stream.name: request_path(run, stream) for stream in bindings.serves}
    return {name: ipc_address(path) for name, path in {**sockets, **request_sockets}.items()}


class ProcessRegistration:
    """Makes a running process known and supervised, until `held` is closed.

    ResourceBusy names the process that already runs under this name.
    """

    def __init__(self, name: str, version: str, settings: Settings, clock: Clock, held: ExitStack) -> None:
        """Acquire the lock first: everything else belongs to this process only while it holds the lock."""
        self._name, self._version, self._paths = name, version, settings.paths
        self._started_at_ns = clock.now_ns()
        self._endpoints: dict[str, str] = {}
        settings.paths.create_run_dir()
        held.callback(REAL_DISK.close, REAL_DISK.lock(settings.paths.lock(name)))
        self.metrics = Metrics(name, version)
        self.health = HealthState(clock, settings.paths.ready(name), self.metrics.ready)
        held.callback(self._end)
        self._start_watchdog(settings.runtime.watchdog_timeout_ms, held)
        self._health_server = self._start_health_server(settings, clock, held)
        self.publish_endpoints({})

    def publish_endpoints(self, endpoints: Mapping[str, str]) -> None:
        """Publish the socket addresses of this process in its manifest, by purpose."""
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
        """Remove the manifest and the ready file without waiting; a signal handler may call it."""
        for path in (self._paths.manifest(self._name), self._paths.ready(self._name)):
            path.unlink(missing_ok=True)

    def _end(self) -> None:
        self.health.stop()
        remove_manifest(self._paths, self._name)

    def _start_watchdog(self, timeout_ms: int, held: ExitStack) -> None:
        watchdog = Watchdog(self.health, timeout_ms)
        watchdog.start()
        held.callback(watchdog.close)

    def _start_health_server(self, settings: Settings, clock: Clock, held: ExitStack) -> HealthServer:
        runtime = settings.runtime
        pages = health_pages(self.health, self.metrics, stale_ms=runtime.watchdog_timeout_ms)
        server = HealthServer(pages, clock, host=runtime.health_host, port=runtime.health_port)
        server.start()
        held.callback(server.close)
        return server
