"""One process of the simulation: it starts from its disk, lives, dies in the middle of anything, and starts again."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

from components.contracts.errors import IoFailed, TradingError
from components.execution.core.venue import Fence, SubmitOrder
from components.runtime.exchange import Exchange
from components.runtime.life import Life, Seat
from components.runtime.service import Called, Fed, Service
from components.runtime.speaking import Voice
from components.xtrader.simulation.chance import Chance
from components.xtrader.simulation.committer import SimulatedCommitter
from components.xtrader.simulation.network import Network, SimulatedTransport
from components.xtrader.simulation.process import PLACES, VERSION, Machine, SimulatedProcess, Wired
from components.xtrader.simulation.schedule import NS_PER_MS, NS_PER_US, Happening, Schedule, SimulatedClock
from components.xtrader.simulation.venue import VenueLine
from components.xtrader.simulation.wirings import Wiring
from components.xtrader.simulation.witness import PromiseBroken, Witness

TURN_NS: Final = 5 * NS_PER_US
MESSAGES_PER_TURN: Final = 64
DRAIN_MS_MAX: Final = 1_000
BUGS: Final = (TradingError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""With one of these a real process would end, and nobody caused it."""


class Death(Enum):
    """Why a life ended."""

    CRASH = auto()
    DISK = auto()
    """A file could not be written or synced; the process ended by itself, as it must."""
    STOP = auto()


class Crashed(BaseException):
    """The process is gone, in the middle of what it did; nobody may catch this by accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What all processes share."""

    schedule: Schedule
    chance: Chance
    clock: SimulatedClock
    network: Network
    witness: Witness
    line: VenueLine


class Host:
    """What outlives a process: its name, its disk, and the fuse that ends it."""

    def __init__(
        self,
        name: str,
        world: World,
        wiring: Wiring,
        *,
        trace: Callable[[str, str], None],
        died: Callable[["Host", "Death"], None],
    ) -> None:
        self.name, self.world, self.wiring = name, world, wiring
        self._trace, self._died = trace, died
        self.machine: Machine
        self.attach: Callable[[Callable[[Any], None]], None] | None = None
        """Connects a new life to what the venue says by itself."""
        self.fuse: int | None = None
        """How many more effects the process has; None while nobody wants it to end."""
        self.life: Incarnation | None = None
        self.is_stopping = False

    def boot(self) -> None:
        """Begin a new life; it may end before it has begun."""
        self.is_stopping = False
        self.life = life = Incarnation(self)
        life.within(life.begin)

    def touch(self, what: str) -> None:
        """Count an effect, and end before it where the fuse is burnt down."""
        self._trace(self.name, what)
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.fuse = None
                raise Crashed

    def end(self) -> None:
        """End the process as a kill does: its files keep what was written, synced or not."""
        if self.life is not None:
            self.life.is_alive = False
            self.life.transport.close()
            self.life = None
        self.machine.disk.let_go()

    def died(self, death: "Death") -> None:
        """Say that the life is over."""
        self._died(self, death)


class Incarnation:
    """One life of one process."""

    def __init__(self, host: Host) -> None:
        self.host, self._world = host, host.world
        self.is_alive = True
        self.process = SimulatedProcess(host.name, host.machine)
        self.service: Service | None = None
        self.committer: SimulatedCommitter | None = None
        self.transport = SimulatedTransport(self._world.network, self.wake, host.touch, self._world.witness.on_answer)
        self._turn_at_ns = -1

    def within(self, happening: Happening) -> None:
        """Let something happen inside the process, if it still lives."""
        if not self.is_alive:
            return
        try:
            happening()
        except Crashed:
            self.host.died(Death.CRASH)
        except IoFailed:
            self.host.died(Death.DISK)
        except BUGS as error:
            raise PromiseBroken(f"{self.host.name} ended with {type(error).__name__}: {error}") from error

    def begin(self) -> None:
        """Read the journal, open the bus, start the service."""
        host, world = self.host, self._world
        process = self.process
        host.wiring(process)
        if (wired := process.wired) is None:
            raise PromiseBroken(f"{host.name} is wired and serves nothing")
        self.service = wired.service
        voice = Voice(host.name, f"{world.chance.dice.getrandbits(48):012x}", process.clock)
        journal = wired.journal
        if journal is not None:
            world.witness.on_opened(host.name, (record.payload for record in journal.records()))
            self.committer = SimulatedCommitter(
                journal,
                world.schedule,
                world.chance,
                self.within,
                lambda sequence, payload: world.witness.on_durable(host.name, sequence, payload),
                host.touch,
            )
        self._bus = Exchange(
            PLACES.run,
            wired.lines,
            voice,
            self.transport,
            metrics=host.machine.metrics,
            log=host.machine.diary,
            records=journal.records if journal is not None else None,
        )
        self._live(wired)

    def _live(self, wired: Wired) -> None:
        host = self.host
        seat = Seat(
            component=host.name,
            version=VERSION,
            service=wired.service,
            bus=self._bus,
            clock=host.machine.clock,
            log=host.machine.diary,
            committer=self.committer,
            tick_ms=wired.tick_ms,
            pulse=lambda _: None,
            should_stop=lambda: host.is_stopping,
            drain_ms_max=DRAIN_MS_MAX,
        )
        self._life = Life(seat, self._call)
        if self.committer is not None:
            self.committer.on_told = self._life.carrier.on_synced
        self._life.carrier.carry(wired.service.on_start(host.machine.clock.now_ns()))
        if host.attach is not None:
            host.attach(lambda body: self.within(lambda: self._life.hear((Fed(body),))))
        self.wake()

    def wake(self) -> None:
        """Take a turn very soon: something has arrived."""
        self._turn_within(TURN_NS)

    def is_idle(self) -> bool:
        """Say whether nothing waits for the disk."""
        return self._life.carrier.is_idle

    def _turn_within(self, delay_ns: int) -> None:
        schedule = self._world.schedule
        at_ns = schedule.now_ns + delay_ns
        if schedule.now_ns <= self._turn_at_ns <= at_ns:
            return
        self._turn_at_ns = at_ns
        schedule.after(delay_ns, lambda: self._on_time(at_ns))

    def _on_time(self, at_ns: int) -> None:
        if at_ns == self._turn_at_ns:
            self._turn_at_ns = -1
            self.within(self._turn)

    def _turn(self) -> None:
        self._life.hear(self._bus.drain(MESSAGES_PER_TURN))
        pause_ms = self._life.pass_time()
        if self._life.is_over():
            self._leave()
            return
        self._turn_within(pause_ms * NS_PER_MS)
        if self._bus.is_readable():
            self.wake()

    def _leave(self) -> None:
        """End in good order: sync first, and let the sockets go then."""
        if self.committer is not None:
            self.committer.flush()
        self.host.died(Death.STOP)

    def _call(self, request: Any) -> None:  # noqa: ANN401  # the adapter's own vocabulary
        self.host.touch("call")
        if isinstance(request, SubmitOrder | Fence):
            self._world.witness.on_leaving(request.client_order_id)
        self._world.line.carry(request, lambda answer: self.within(lambda: self._life.hear((Called(request, answer),))))
