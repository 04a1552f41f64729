"""A simulated process: it starts from its disk, may crash before any effect, and is started again."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from components.contracts.errors import StorageError, TradingError
from components.execution.core.venue_messages import Fence, SubmitOrder, VenueResponse
from components.runtime.bus.bus import MessageBus
from components.runtime.bus.codec import Producer
from components.runtime.clock import NS_PER_MS
from components.runtime.process.loop import LoopContext, ServiceLoop
from components.runtime.service import Service, VenueCallCompleted, VenueEvent
from components.xtrader.simulation.components import Wiring
from components.xtrader.simulation.invariants import InvariantChecker, InvariantViolated
from components.xtrader.simulation.network import Network, SimulatedTransport
from components.xtrader.simulation.process import PATHS, VERSION, NodeResources, SimulatedProcess, WiredService
from components.xtrader.simulation.scheduler import (
    NS_PER_US,
    Callback,
    Randomness,
    Scheduler,
    SimulatedClock,
)
from components.xtrader.simulation.storage import SimulatedGroupCommitter
from components.xtrader.simulation.venue import SimulatedVenueApi

ITERATION_DELAY_NS: Final = 5 * NS_PER_US
MESSAGES_PER_ITERATION: Final = 64
DRAIN_TIMEOUT_MS: Final = 1_000
UNEXPECTED_ERRORS: Final = (
    TradingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
"""A real process would end with one of these; here it is a bug, because no fault causes it."""


class ExitCause(Enum):
    """Why a run of a process ended."""

    CRASH = auto()
    DISK = auto()
    """A file could not be written or synced; the process ended by itself, as it must."""
    STOP = auto()


class ProcessCrashed(BaseException):
    """The process was killed before an effect. A BaseException, so that no handler catches it by accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all processes share."""

    scheduler: Scheduler
    randomness: Randomness
    clock: SimulatedClock
    network: Network
    checker: InvariantChecker
    venue_api: SimulatedVenueApi


class Node:
    """What outlives a process: its name, its disk, and the number of effects until its next crash."""

    def __init__(
        self,
        name: str,
        world: World,
        wiring: Wiring,
        *,
        on_effect: Callable[[str, str], None],
        on_exit: Callable[["Node", ExitCause], None],
    ) -> None:
        self.name, self.world, self.wiring = name, world, wiring
        self._record_effect, self._on_exit = on_effect, on_exit
        self.resources: NodeResources
        self.attach_feed: Callable[[Callable[[Any], None]], None] | None = None
        """Connects a new run of the process to the venue's events."""
        self.effects_left: int | None = None
        """The number of effects until the process crashes; None while no crash is planned."""
        self.current_run: NodeRun | None = None
        self.is_stopping = False

    def start(self) -> None:
        """Start a new run of the process; it may crash while it starts."""
        self.is_stopping = False
        self.current_run = node_run = NodeRun(self)
        node_run.run_in_process(node_run.start)

    def on_effect(self, effect: str) -> None:
        """Count an effect, and crash before it if none is left."""
        self._record_effect(self.name, effect)
        if self.effects_left is not None:
            self.effects_left -= 1
            if self.effects_left <= 0:
                self.effects_left = None
                raise ProcessCrashed

    def kill(self) -> None:
        """End the process as SIGKILL does: its files keep what was written, synced or not."""
        if self.current_run is not None:
            self.current_run.is_alive = False
            self.current_run.transport.close()
            self.current_run = None
        self.resources.disk.on_process_exit()

    def on_exit(self, cause: ExitCause) -> None:
        """Report that the run of the process has ended."""
        self._on_exit(self, cause)


class NodeRun:
    """One run of one process, from its start to its exit."""

    def __init__(self, node: Node) -> None:
        self.node, self._world = node, node.world
        self.is_alive = True
        self.process = SimulatedProcess(node.name, node.resources)
        self.service: Service | None = None
        self.committer: SimulatedGroupCommitter | None = None
        self.transport = SimulatedTransport(
            self._world.network, self.wake, node.on_effect, self._world.checker.on_reply
        )
        self._next_iteration_at_ns = -1

    def run_in_process(self, callback: Callback) -> None:
        """Call `callback` as the process, if it is still running; a crash or an error ends the run."""
        if not self.is_alive:
            return
        try:
            callback()
        except ProcessCrashed:
            self.node.on_exit(ExitCause.CRASH)
        except StorageError:
            self.node.on_exit(ExitCause.DISK)
        except UNEXPECTED_ERRORS as error:
            raise InvariantViolated(f"{self.node.name} ended with {type(error).__name__}: {error}") from error

    def start(self) -> None:
        """Read the journal, open the bus, start the service."""
        node, world = self.node, self._world
        process = self.process
        node.wiring(process)
        if (wired := process.wired) is None:
            raise InvariantViolated(f"{node.name} was wired without a service")
        self.service = wired.service
        producer = Producer(node.name, f"{world.randomness.random.getrandbits(48):012x}", process.clock)
        journal = wired.journal
        if journal is not None:
            world.checker.on_journal_opened(node.name, (record.payload for record in journal.records()))
            self.committer = SimulatedGroupCommitter(
                journal,
                world.scheduler,
                world.randomness,
                self.run_in_process,
                lambda sequence, payload: world.checker.on_durable(node.name, sequence, payload),
                node.on_effect,
            )
        self._bus = MessageBus(
            PATHS.run,
            wired.bindings,
            producer,
            self.transport,
            metrics=node.resources.metrics,
            log=node.resources.log,
            records=journal.records if journal is not None else None,
        )
        self._start_service(wired)

    def _start_service(self, wired: WiredService) -> None:
        node = self.node
        context = LoopContext(
            component=node.name,
            version=VERSION,
            service=wired.service,
            bus=self._bus,
            clock=node.resources.clock,
            log=node.resources.log,
            committer=self.committer,
            tick_ms=wired.tick_ms,
            report_health=lambda _: None,
            should_stop=lambda: node.is_stopping,
            drain_timeout_ms=DRAIN_TIMEOUT_MS,
        )
        self._loop = ServiceLoop(context, self._call_venue)
        if self.committer is not None:
            self.committer.on_synced = self._loop.executor.on_synced
        self._loop.executor.execute(wired.service.on_start(node.resources.clock.now_ns()))
        if node.attach_feed is not None:
            node.attach_feed(lambda body: self.run_in_process(lambda: self._loop.dispatch((VenueEvent(body),))))
        self.wake()

    def wake(self) -> None:
        """Schedule an iteration of the loop, because a frame has arrived."""
        self._schedule_iteration(ITERATION_DELAY_NS)

    def is_idle(self) -> bool:
        """Return whether no effect waits for the disk."""
        return self._loop.executor.is_idle

    def _schedule_iteration(self, delay_ns: int) -> None:
        scheduler = self._world.scheduler
        at_ns = scheduler.now_ns + delay_ns
        if scheduler.now_ns <= self._next_iteration_at_ns <= at_ns:
            return
        self._next_iteration_at_ns = at_ns
        scheduler.after(delay_ns, lambda: self._on_iteration_due(at_ns))

    def _on_iteration_due(self, at_ns: int) -> None:
        if at_ns == self._next_iteration_at_ns:
            self._next_iteration_at_ns = -1
            self.run_in_process(self._iterate)

    def _iterate(self) -> None:
        self._loop.dispatch(self._bus.drain(MESSAGES_PER_ITERATION))
        pause_ms = self._loop.run_timers()
        if self._loop.is_finished():
            self._exit()
            return
        self._schedule_iteration(pause_ms * NS_PER_MS)
        if self._bus.is_readable():
            self.wake()

    def _exit(self) -> None:
        """Exit gracefully: sync, then close the sockets."""
        if self.committer is not None:
            self.committer.flush()
        self.node.on_exit(ExitCause.STOP)

    def _call_venue(self, request: Any) -> None:  # noqa: ANN401  # the adapter's own vocabulary
        self.node.on_effect("call")
        if isinstance(request, SubmitOrder | Fence):
            self._world.checker.on_order_sent(request.client_order_id)

        def on_result(result: VenueResponse) -> None:
            self.run_in_process(lambda: self._loop.dispatch((VenueCallCompleted(request, result),)))

        self._world.venue_api.call(request, on_result)
