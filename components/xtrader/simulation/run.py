"""One run: a storm with a crash after the other, then a calm in which everything must come right by itself."""

from collections import deque
from hashlib import blake2b
from random import Random
from typing import Final

from msgspec import Struct

from components.contracts.decisions import Action
from components.contracts.values import Symbol
from components.runtime.metrics import Metrics
from components.xtrader.simulation.books import Books
from components.xtrader.simulation.chance import CALM, STORM, Chance, Odds
from components.xtrader.simulation.disk import SimulatedDisk
from components.xtrader.simulation.host import Death, Host, World
from components.xtrader.simulation.model import Dice
from components.xtrader.simulation.network import Network
from components.xtrader.simulation.order_stream import OrderStream
from components.xtrader.simulation.process import VERSION, Diary, Machine
from components.xtrader.simulation.reckoning import Reckoning
from components.xtrader.simulation.schedule import NS_PER_MS, Schedule, SimulatedClock
from components.xtrader.simulation.settings import SYMBOLS
from components.xtrader.simulation.venue import VenueLine
from components.xtrader.simulation.weather import Operator, Weather
from components.xtrader.simulation.wirings import wirings
from components.xtrader.simulation.witness import PromiseBroken, Witness

LOOK_MS: Final = 50
LINES_KEPT: Final = 40
CALM_S_MAX: Final = 30
"""Longer than any deadline, pause or expiry in the settings; what is not right by then never will be."""
STORM_S_MAX: Final = 600
PATIENCE_MS: Final = 500
"""A process with less to do than the fuse is long is let live."""
SEGMENT_BYTES: Final = (4_096, 65_536)
NS_PER_S: Final = 1_000 * NS_PER_MS


class Report(Struct, frozen=True, kw_only=True):
    """What one run was made of; `problem` is empty where every promise was kept."""

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


class Plan(Struct, frozen=True, kw_only=True):
    """Where a run is crashed: so many times at random, or once, before this effect of all of them."""

    crash_points: int = 1
    crash_at: int | None = None


class Run:
    """Everything of one seed."""

    def __init__(self, seed: int, plan: Plan, gauges: dict[str, Metrics], odds: Odds = STORM) -> None:
        """`gauges` are the processes' metrics, which any number of runs may share."""
        self._seed, self._plan = seed, plan
        dice = Random(seed)
        self._chance = Chance(dice, odds)
        self._schedule = Schedule()
        self._clock = SimulatedClock(self._schedule)
        self._witness = Witness()
        self._books = Books(self._schedule, self._chance, self._clock)
        self._books.open_with(Symbol(SYMBOLS[0]), dice.randint(0, 2))
        self._stream = OrderStream(self._schedule, self._chance)
        self._books.say = self._stream.say
        self._line = VenueLine(self._schedule, self._chance, self._clock, self._books)
        self._network = Network(self._schedule, self._chance)
        self._model = Dice(dice)
        self._lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._trace = blake2b(digest_size=8)
        self._effects = self._starts = self._points = 0
        self._is_calm = False
        self._hosts = self._make_hosts(gauges)
        self._operator = Operator(self._network, self._clock)
        self._weather = Weather(self._world, self._books, self._stream, self._hosts, self._operator)
        self._hosts["market_data"].attach = self._weather.attach

    def to_its_end(self) -> Report:
        """Run until it is calm and right, or until a promise is broken."""
        problem = ""
        try:
            self._storm()
            self._calm()
        except PromiseBroken as broken:
            problem = str(broken)
        return Report(
            seed=self._seed,
            crash_at=self._plan.crash_at,
            crash_points=self._points,
            effects=self._effects,
            starts=self._starts,
            approvals=self._witness.approved,
            orders=len(self._books.orders),
            fills=len(self._books.fills),
            simulated_s=self._schedule.now_ns / NS_PER_S,
            trace=self._trace.hexdigest(),
            problem=problem,
            last_lines=tuple(self._lines) if problem else (),
        )

    def _make_hosts(self, gauges: dict[str, Metrics]) -> dict[str, Host]:
        self._world = world = World(
            schedule=self._schedule,
            chance=self._chance,
            network=self._network,
            clock=self._clock,
            witness=self._witness,
            line=self._line,
        )
        pages = wirings(self._model, self._chance)
        hosts = {name: Host(name, world, page, trace=self._note, died=self._died) for name, page in pages.items()}
        for host in hosts.values():
            host.machine = Machine(
                clock=self._clock,
                disk=SimulatedDisk(self._chance, host.touch),
                diary=Diary(host.name, self._clock, self._lines),
                metrics=gauges.get(host.name) or gauges.setdefault(host.name, Metrics(host.name, VERSION)),
                segment_bytes_max=self._chance.dice.choice(SEGMENT_BYTES),
            )
        hosts["execution"].attach = self._stream.attach
        return hosts

    def _storm(self) -> None:
        for host in self._hosts.values():
            self._start_soon(host)
        self._weather.begin()
        self._arm_soon()
        until_ns = STORM_S_MAX * NS_PER_S
        while self._points < self._plan.crash_points and self._schedule.now_ns < until_ns:
            self._schedule.step()

    def _calm(self) -> None:
        self._is_calm = self._model.is_resting = self._weather.is_calm = True
        self._chance.odds = CALM
        for host in self._hosts.values():
            host.fuse = None
        reckoning = Reckoning(self._hosts, self._books, self._line, self._witness)
        until_ns = self._schedule.now_ns + CALM_S_MAX * NS_PER_S
        while open_question := reckoning.unsettled():
            if self._schedule.now_ns > until_ns:
                raise PromiseBroken(f"not right after {CALM_S_MAX} s of calm: {open_question}")
            self._operator.ask(Action.RESUME)
            look_at_ns = self._schedule.now_ns + LOOK_MS * NS_PER_MS
            while self._schedule.now_ns < look_at_ns:
                self._schedule.step()
        reckoning.close()

    def _note(self, name: str, what: str) -> None:
        self._effects += 1
        if self._effects == self._plan.crash_at:
            self._hosts[name].fuse = 1
        self._trace.update(f"{self._schedule.now_ns} {name} {what}\n".encode())

    def _start_soon(self, host: Host) -> None:
        def start() -> None:
            if host.life is None:
                self._starts += 1
                host.boot()

        self._schedule.after(self._chance.between_ms(1, 120), start)

    def _died(self, host: Host, death: Death) -> None:
        host.end()
        if death is Death.CRASH:
            self._points += 1
            kind = self._chance.dice.random()
            if kind < 0.2:
                self._black_out()
            elif kind < 0.6:
                host.machine.disk.lose_power()
            self._arm_soon()
        self._start_soon(host)

    def _black_out(self) -> None:
        """Cut the machine's power: every process ends, every disk loses what was not synced."""
        for host in self._hosts.values():
            host.end()
            host.machine.disk.lose_power()
            self._start_soon(host)

    def _arm_soon(self) -> None:
        if not self._is_calm and self._plan.crash_at is None:
            self._schedule.after(self._chance.between_ms(0, self._chance.dice.choice((5, 60, 600))), self._arm)

    def _arm(self) -> None:
        if self._is_calm:
            return
        names, weights = ("execution", "risk", "signals", "market_data"), (9, 9, 1, 1)
        host = self._hosts[self._chance.dice.choices(names, weights)[0]]
        host.fuse = self._chance.dice.randint(1, self._chance.dice.choice((3, 20, 120)))
        points = self._points

        def look_again() -> None:
            if self._points == points and host.fuse is not None:
                host.fuse = None
                self._arm()

        self._schedule.after(PATIENCE_MS * NS_PER_MS, look_again)
