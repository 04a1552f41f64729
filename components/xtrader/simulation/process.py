"""The process context for the components' wiring functions, on simulated files and clocks."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel
from structlog.typing import FilteringBoundLogger
from typing_extensions import override

from components.contracts.streams import HEALTH, Stream
from components.contracts.values import StreamOffset
from components.execution.core.state import ExecutionState
from components.runtime.clock import NS_PER_MS
from components.runtime.journal.journal import Journal
from components.runtime.metrics import Metrics
from components.runtime.paths import Paths
from components.runtime.process.process import Process
from components.runtime.service import Service, StreamBindings, VenueClient, VenueEventSource
from components.xtrader.simulation.scheduler import SimulatedClock
from components.xtrader.simulation.settings import ACCOUNT, TABLES
from components.xtrader.simulation.storage import SimulatedDisk

VERSION: Final = "simulated"
SEAL_KEY: Final = b"a seal for simulated orders only"
ROOT: Final = Path("/simulated")
PATHS: Final = Paths(root=ROOT, env="dev", account=ACCOUNT, state=ROOT, run=ROOT, keys=ROOT)
M = TypeVar("M", bound=BaseModel)


class MemoryLog:
    """A logger that keeps the last lines of all processes, to analyse a failing run."""

    def __init__(self, name: str, clock: SimulatedClock, lines: deque[str]) -> None:
        self._name, self._clock, self._lines = name, clock, lines

    def debug(self, event: str, **fields: Any) -> None:  # noqa: ANN401  # as the logger declares it
        """Drop the event."""

    def info(self, event: str, **fields: Any) -> None:  # noqa: ANN401
        """Append one line."""
        self._lines.append(f"{self._clock.monotonic_ns() / NS_PER_MS:12.3f} ms  {self._name:<12} {event} {fields}")

    warning = error = critical = info


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResources:
    """The clock, disk, log and metrics of one node."""

    clock: SimulatedClock
    disk: SimulatedDisk
    log: MemoryLog
    metrics: Metrics
    segment_bytes_max: int


@dataclass(frozen=True, slots=True)
class WiredService:
    """What a wiring function passed to `run`."""

    service: Service
    bindings: StreamBindings
    journal: Journal | None
    tick_ms: int


class SimulatedProcess(Process):
    """Offers a wiring function what the real process offers, and keeps the service instead of running it."""

    def __init__(self, name: str, resources: NodeResources) -> None:
        self.name, self.version = name, VERSION
        self.clock, self.metrics, self.paths = resources.clock, resources.metrics, PATHS
        self.log = cast("FilteringBoundLogger", resources.log)
        self._resources = resources
        self.wired: WiredService | None = None
        self.execution_state: ExecutionState | None = None
        """Execution's state, for the convergence check."""

    @override
    def config(self, model: type[M]) -> M:
        return model.model_validate(TABLES[self.name])

    @override
    def secret(self, reference: str) -> bytes:
        return reference.encode()

    @override
    def seal_key(self) -> bytes:
        return SEAL_KEY

    @override
    def open_journal(self) -> Journal:
        resources = self._resources
        return Journal.open(
            PATHS.journal(self.name),
            owner=self.name,
            account=ACCOUNT,
            now_ns=resources.clock.now_ns(),
            disk=resources.disk,
            segment_bytes_max=resources.segment_bytes_max,
        )

    @override
    def run(
        self,
        service: Service,
        *,
        subscribes: Mapping[Stream, StreamOffset | None] | None = None,
        publishes: Sequence[Stream] = (),
        serves: Sequence[Stream] = (),
        requests: Sequence[Stream] = (),
        sends_commands: Sequence[Stream] = (),
        journal: Journal | None = None,
        journal_stream: Stream | None = None,
        venue: VenueClient | None = None,
        feed: VenueEventSource | None = None,
        tick_ms: int = 50,
    ) -> None:
        bindings = StreamBindings(
            component=self.name,
            subscribes=subscribes or {},
            publishes=tuple(dict.fromkeys((*publishes, HEALTH))),
            serves=tuple(serves),
            requests=tuple(requests),
            sends_commands=tuple(sends_commands),
            journal_stream=journal_stream,
            journal_id=journal.journal_id if journal else "",
            last_sequence=journal.last_sequence if journal else 0,
        )
        self.wired = WiredService(service, bindings, journal, tick_ms)
