"""Serving: a service, its streams and its journal on one loop, until it was asked to stop and has drained."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from components.runtime.bus import open_bus
from components.runtime.clock import Clock
from components.runtime.commit import GroupCommitter
from components.runtime.config import Settings
from components.runtime.drivers import run_async, run_blocking
from components.runtime.endpoints import ipc_address, publisher_path, recovery_path, request_path
from components.runtime.journal import Journal
from components.runtime.life import LoopContext
from components.runtime.lines import StreamBindings
from components.runtime.metrics import Metrics
from components.runtime.pulse import HealthState
from components.runtime.service import Service
from components.runtime.stopping import ShutdownSignals
from components.runtime.venue import VenueClient, VenueEventSource


class ProcessContext(Protocol):
    """The process, as far as serving needs it."""

    name: str
    version: str
    clock: Clock
    settings: Settings
    log: FilteringBoundLogger
    metrics: Metrics
    health: HealthState
    signals: ShutdownSignals

    def publish_endpoints(self, endpoints: Mapping[str, str]) -> None:
        """Say where peers reach this host."""


@dataclass(frozen=True, slots=True)
class Application:
    """What is served, and over what."""

    service: Service
    bindings: StreamBindings
    journal: Journal | None
    venue: VenueClient | None
    feed: VenueEventSource | None
    is_async: bool
    tick_ms: int


def run_application(context: ProcessContext, application: Application) -> None:
    """Open the bus, tell where it is, run the loop; at the end sync first and let the sockets go then."""
    run, drain_ms_max = context.settings.paths.run, context.settings.runtime.drain_ms_max
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
            held.callback(committer.close, drain_ms_max / 1000)
        context.publish_endpoints(endpoints_of(run, application.bindings))
        seat = LoopContext(
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
            drain_ms_max=drain_ms_max,
        )
        (run_async if application.is_async else run_blocking)(seat)


def endpoints_of(run: Path, bindings: StreamBindings) -> dict[str, str]:
    """List where this process is reached, by the name of each duty."""
    duties = {"publications": publisher_path(run, bindings.component), "side": recovery_path(run, bindings.component)}
    answered = {stream.name: request_path(run, stream) for stream in bindings.serves}
    return {name: ipc_address(path) for name, path in {**duties, **answered}.items()}
