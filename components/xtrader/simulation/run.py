"""One run: a fault phase with crashes, then a liveness phase in which the system must converge without faults.

`Environment` moves prices and injects the faults from outside: disconnects, outages, clock jumps, operator commands.
"""

from collections import deque
from collections.abc import Callable, Mapping
from hashlib import blake2b
from random import Random
from typing import Any, Final

from msgspec import Struct

from components.contracts.decisions import OperatorAction, OperatorCommand
from components.contracts.streams import RISK_REQUESTS
from components.contracts.values import CommandId, Symbol
from components.market_data.core.events import StockFeedDown, StockFeedUp, StockFrame
from components.runtime.bus.bus import CLI_CLIENT
from components.runtime.bus.codec import Producer, encode
from components.runtime.bus.transport import request_path
from components.runtime.clock import NS_PER_MS, NS_PER_S
from components.runtime.metrics import Metrics
from components.xtrader.simulation.components import RandomModel, node_wirings
from components.xtrader.simulation.convergence import ConvergenceChecker
from components.xtrader.simulation.exchange import SimulatedExchange
from components.xtrader.simulation.invariants import InvariantChecker, InvariantViolated
from components.xtrader.simulation.network import Network, SimulatedTransport
from components.xtrader.simulation.node import ExitCause, Node, World
from components.xtrader.simulation.process import PATHS, VERSION, MemoryLog, NodeResources
from components.xtrader.simulation.scheduler import (
    FAULT_RATES,
    NO_FAULTS,
    FaultRates,
    Randomness,
    Scheduler,
    SimulatedClock,
)
from components.xtrader.simulation.settings import SYMBOLS
from components.xtrader.simulation.storage import SimulatedDisk
from components.xtrader.simulation.venue import SimulatedOrderStream, SimulatedVenueApi

FAULT_PHASE_S_MAX: Final = 600
LIVENESS_PHASE_S_MAX: Final = 30
"""Longer than any timeout or expiry in the settings: what has not converged by then never will."""
CHECK_EVERY_MS: Final = 50
LOG_LINES_MAX: Final = 40
CRASH_WAIT_MS: Final = 500
"""A process that has not used up its effects by then is not crashed; another is chosen."""
SEGMENT_BYTES_CHOICES: Final = (4_096, 65_536)
PRICE_MOVE_MS: Final = (2, 16)
FAULT_FREE_PRICE_MOVE_MS: Final = (100, 200)
OUTAGE_MS_MAX: Final = 1_500
OPERATOR_ACTIONS: Final = (OperatorAction.RESUME, OperatorAction.HALT, OperatorAction.CANCEL_ALL)


class RunReport(Struct, frozen=True, kw_only=True):
    """The totals of one run; `problem` is empty if every invariant held."""

    seed: int
    crash_at: int | None
    crash_points: int
    effects: int
    starts: int
    approvals: int
    orders: int
    fills: int
    simulated_s: float
    trace: str
    problem: str
    last_lines: tuple[str, ...]


class CrashPlan(Struct, frozen=True, kw_only=True):
    """When a run crashes: `crash_points` times at random, or once, before effect number `crash_at`."""

    crash_points: int = 1
    crash_at: int | None = None


class SimulationRun:
    """The run of one seed."""

    def __init__(
        self, seed: int, plan: CrashPlan, metrics: dict[str, Metrics], rates: FaultRates = FAULT_RATES
    ) -> None:
        """`metrics` are the processes' registries, which any number of runs may share."""
        self._seed, self._plan = seed, plan
        random = Random(seed)
        self._randomness = Randomness(random, rates)
        self._scheduler = Scheduler()
        self._clock = SimulatedClock(self._scheduler)
        self._checker = InvariantChecker()
        self._exchange = SimulatedExchange(self._scheduler, self._randomness, self._clock)
        self._exchange.set_position(Symbol(SYMBOLS[0]), random.randint(0, 2))
        self._order_stream = SimulatedOrderStream(self._scheduler, self._randomness)
        self._exchange.on_order_event = self._order_stream.publish
        self._venue_api = SimulatedVenueApi(self._scheduler, self._randomness, self._clock, self._exchange)
        self._network = Network(self._scheduler, self._randomness)
        self._model = RandomModel(random)
        self._log_lines: deque[str] = deque(maxlen=LOG_LINES_MAX)
        self._trace_hash = blake2b(digest_size=8)
        self._effects = self._starts = self._crash_points = 0
        self._is_fault_free = False
        self._nodes = self._make_nodes(metrics)
        self._operator = Operator(self._network, self._clock)
        self._environment = Environment(self._world, self._exchange, self._order_stream, self._nodes, self._operator)
        self._nodes["market_data"].attach_feed = self._environment.attach_feed

    def run(self) -> RunReport:
        """Run until the system has converged, or until an invariant is violated."""
        problem = ""
        try:
            self._fault_phase()
            self._liveness_phase()
        except InvariantViolated as violation:
            problem = str(violation)
        return RunReport(
            seed=self._seed,
            crash_at=self._plan.crash_at,
            crash_points=self._crash_points,
            effects=self._effects,
            starts=self._starts,
            approvals=self._checker.approved,
            orders=len(self._exchange.orders),
            fills=len(self._exchange.fills),
            simulated_s=self._scheduler.now_ns / NS_PER_S,
            trace=self._trace_hash.hexdigest(),
            problem=problem,
            last_lines=tuple(self._log_lines) if problem else (),
        )

    def _make_nodes(self, metrics: dict[str, Metrics]) -> dict[str, Node]:
        self._world = world = World(
            scheduler=self._scheduler,
            randomness=self._randomness,
            network=self._network,
            clock=self._clock,
            checker=self._checker,
            venue_api=self._venue_api,
        )
        wirings = node_wirings(self._model, self._randomness)
        nodes = {
            name: Node(name, world, wiring, on_effect=self._on_effect, on_exit=self._on_exit)
            for name, wiring in wirings.items()
        }
        for node in nodes.values():
            node.resources = NodeResources(
                clock=self._clock,
                disk=SimulatedDisk(self._randomness, node.on_effect),
                log=MemoryLog(node.name, self._clock, self._log_lines),
                metrics=metrics.get(node.name) or metrics.setdefault(node.name, Metrics(node.name, VERSION)),
                segment_bytes_max=self._randomness.random.choice(SEGMENT_BYTES_CHOICES),
            )
        nodes["execution"].attach_feed = self._order_stream.attach
        return nodes

    def _fault_phase(self) -> None:
        for node in self._nodes.values():
            self._start_later(node)
        self._environment.start()
        self._schedule_crash()
        until_ns = FAULT_PHASE_S_MAX * NS_PER_S
        while self._crash_points < self._plan.crash_points and self._scheduler.now_ns < until_ns:
            self._scheduler.step()

    def _liveness_phase(self) -> None:
        self._is_fault_free = self._model.always_flat = self._environment.is_fault_free = True
        self._randomness.rates = NO_FAULTS
        for node in self._nodes.values():
            node.effects_left = None
        convergence = ConvergenceChecker(self._nodes, self._exchange, self._venue_api, self._checker)
        until_ns = self._scheduler.now_ns + LIVENESS_PHASE_S_MAX * NS_PER_S
        while difference := convergence.first_difference():
            if self._scheduler.now_ns > until_ns:
                raise InvariantViolated(f"not converged after {LIVENESS_PHASE_S_MAX} s without faults: {difference}")
            self._operator.send(OperatorAction.RESUME)
            check_at_ns = self._scheduler.now_ns + CHECK_EVERY_MS * NS_PER_MS
            while self._scheduler.now_ns < check_at_ns:
                self._scheduler.step()
        convergence.verify_journals()

    def _on_effect(self, name: str, effect: str) -> None:
        self._effects += 1
        if self._effects == self._plan.crash_at:
            self._nodes[name].effects_left = 1
        self._trace_hash.update(f"{self._scheduler.now_ns} {name} {effect}\n".encode())

    def _start_later(self, node: Node) -> None:
        def start() -> None:
            if node.current_run is None:
                self._starts += 1
                node.start()

        self._scheduler.after(self._randomness.duration_ns(1, 120), start)

    def _on_exit(self, node: Node, cause: ExitCause) -> None:
        node.kill()
        if cause is ExitCause.CRASH:
            self._crash_points += 1
            drawn = self._randomness.random.random()
            if drawn < 0.2:
                self._cut_power()
            elif drawn < 0.6:
                node.resources.disk.lose_power()
            self._schedule_crash()
        self._start_later(node)

    def _cut_power(self) -> None:
        """Cut the machine's power: every process ends, and every disk loses what was not synced."""
        for node in self._nodes.values():
            node.kill()
            node.resources.disk.lose_power()
            self._start_later(node)

    def _schedule_crash(self) -> None:
        if not self._is_fault_free and self._plan.crash_at is None:
            ms_max = self._randomness.random.choice((5, 60, 600))
            self._scheduler.after(self._randomness.duration_ns(0, ms_max), self._arm_crash)

    def _arm_crash(self) -> None:
        if self._is_fault_free:
            return
        names, weights = ("execution", "risk", "signals", "market_data"), (9, 9, 1, 1)
        node = self._nodes[self._randomness.random.choices(names, weights)[0]]
        node.effects_left = self._randomness.random.randint(1, self._randomness.random.choice((3, 20, 120)))
        points = self._crash_points

        def choose_again() -> None:
            if self._crash_points == points and node.effects_left is not None:
                node.effects_left = None
                self._arm_crash()

        self._scheduler.after(CRASH_WAIT_MS * NS_PER_MS, choose_again)


class Operator:
    """Sends operator commands to risk and ignores the replies."""

    def __init__(self, network: Network, clock: SimulatedClock) -> None:
        transport = SimulatedTransport(network, lambda: None, lambda _: None, lambda _: None)
        self._socket = transport.connect_client(request_path(PATHS.run, RISK_REQUESTS), RISK_REQUESTS.high_water_mark)
        self._producer = Producer(CLI_CLIENT, "operator", clock)
        self._sent = 0

    def send(self, action: OperatorAction) -> None:
        """Send a command to risk; it is lost if risk is not running."""
        self._sent += 1
        request = OperatorCommand(CommandId(f"operator-{self._sent}"), action, "simulated")
        self._socket.send((), (RISK_REQUESTS.name.encode(), self._producer.header(self._sent), encode(request)))


class Environment:
    """The market, and the faults that come from outside the four processes."""

    def __init__(
        self,
        world: World,
        exchange: SimulatedExchange,
        order_stream: SimulatedOrderStream,
        nodes: Mapping[str, Node],
        operator: Operator,
    ) -> None:
        self._world, self._exchange, self._order_stream = world, exchange, order_stream
        self._nodes, self._operator = nodes, operator
        self._deliver: Callable[[Any], None] | None = None
        self.is_fault_free = False

    def start(self) -> None:
        """Start to move prices and to inject faults."""
        self._move_price()

    def _move_price(self) -> None:
        quote = self._exchange.move_price()
        if self._deliver is not None:
            self._deliver(StockFrame((quote,)))
        self._inject_faults()
        bounds = FAULT_FREE_PRICE_MOVE_MS if self.is_fault_free else PRICE_MOVE_MS
        self._world.scheduler.after(self._world.randomness.duration_ns(*bounds), self._move_price)

    def _inject_faults(self) -> None:
        randomness, rates = self._world.randomness, self._world.randomness.rates
        if randomness.happens(rates.stream_disconnect):
            self._order_stream.disconnect()
        if randomness.happens(rates.venue_outage):
            self._world.venue_api.start_outage(randomness.duration_ns(50, OUTAGE_MS_MAX))
            self._order_stream.disconnect()
        if randomness.happens(rates.feed_disconnect) and self._deliver is not None:
            self._deliver(StockFeedDown("connection reset", is_permanent=False))
            self._deliver(StockFeedUp())
        if randomness.happens(rates.clock_jump):
            self._world.clock.wall_offset_ns += randomness.duration_ns(-1_500, 1_500)
        if randomness.happens(rates.operator_command):
            self._operator.send(randomness.random.choices(OPERATOR_ACTIONS, (6, 1, 1))[0])
        if randomness.happens(rates.process_stop):
            self._nodes[randomness.random.choice(tuple(self._nodes))].is_stopping = True

    def attach_feed(self, deliver: Callable[[Any], None]) -> None:
        """Connect a new run of market_data to its feed."""
        self._deliver = deliver
        self._world.scheduler.after(self._world.randomness.duration_ns(1, 20), lambda: deliver(StockFeedUp()))
