"""Serving: a service, its streams and its journal on one loop, until it was asked to stop and has drained."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from components.runtime.bus import open_bus
from components.runtime.clock import Clock
from components.runtime.commit import Committer
from components.runtime.config import Settings
from components.runtime.drivers import drive_async, drive_blocking
from components.runtime.endpoints import address, publications, service, side
from components.runtime.journal import Journal
from components.runtime.life import Seat
from components.runtime.lines import Lines
from components.runtime.metrics import Metrics
from components.runtime.pulse import Pulse
from components.runtime.service import Service
from components.runtime.stopping import StopSignals
from components.runtime.venue import Caller, Feed


class Host(Protocol):
    """The process, as far as serving needs it."""

    name: str
    version: str
    clock: Clock
    settings: Settings
    log: FilteringBoundLogger
    metrics: Metrics
    pulse: Pulse
    signals: StopSignals

    def announce(self, endpoints: Mapping[str, str]) -> None:
        """Say where peers reach this host."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is served, and over what."""

    service: Service
    lines: Lines
    journal: Journal | None
    venue: Caller | None
    feed: Feed | None
    is_async: bool
    tick_ms: int


def serve(host: Host, work: Work) -> None:
    """Open the bus, tell where it is, run the loop; at the end sync first and let the sockets go then."""
    run, drain_ms_max = host.settings.places.run, host.settings.runtime.drain_ms_max
    with ExitStack() as held:
        records = work.journal.records if work.journal else None
        bus = open_bus(
            run,
            work.lines,
            clock=host.clock,
            metrics=host.metrics,
            log=host.log,
            records=records,
        )
        held.callback(bus.close)
        committer = Committer(work.journal) if work.journal else None
        if committer is not None:
            held.callback(committer.close, drain_ms_max / 1000)
        host.announce(endpoints_of(run, work.lines))
        seat = Seat(
            component=host.name,
            version=host.version,
            service=work.service,
            bus=bus,
            clock=host.clock,
            log=host.log,
            committer=committer,
            venue=work.venue,
            feed=work.feed,
            tick_ms=work.tick_ms,
            pulse=host.pulse.beat,
            should_stop=lambda: host.signals.requested,
            drain_ms_max=drain_ms_max,
        )
        (drive_async if work.is_async else drive_blocking)(seat)


def endpoints_of(run: Path, lines: Lines) -> dict[str, str]:
    """List where this process is reached, by the name of each duty."""
    duties = {"publications": publications(run, lines.component), "side": side(run, lines.component)}
    answered = {stream.name: service(run, stream) for stream in lines.answers}
    return {name: address(path) for name, path in {**duties, **answered}.items()}
