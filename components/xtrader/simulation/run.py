"""One run: a storm with a crash after the other, then a calm in which everything must come right by itself."""

from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Any, Final

from msgspec import Struct

from components.contracts.decisions import Action, Operate
from components.contracts.topics import JUDGE
from components.contracts.values import CommandId, Symbol
from components.market_data.core.feed import Batch, Dropped, Subscribed
from components.runtime.codec import encode
from components.runtime.endpoints import service as service_at
from components.runtime.metrics import Metrics
from components.runtime.speaking import Voice
from components.xtrader.simulation.books import Books
from components.xtrader.simulation.chance import CALM, STORM, Chance, Odds
from components.xtrader.simulation.disk import SimulatedDisk
from components.xtrader.simulation.host import Death, Host, World
from components.xtrader.simulation.model import Dice
from components.xtrader.simulation.network import Network, SimulatedTransport
from components.xtrader.simulation.process import PLACES, VERSION, Diary, Machine
from components.xtrader.simulation.reckoning import Reckoning
from components.xtrader.simulation.schedule import NS_PER_MS, Schedule, SimulatedClock
from components.xtrader.simulation.settings import SYMBOLS
from components.xtrader.simulation.venue import OrderStream, VenueLine
from components.xtrader.simulation.wirings import wirings
from components.xtrader.simulation.witness import PromiseBroken, Witness

MARKET_MS: Final = (2, 16)
CALM_MARKET_MS: Final = (100, 200)
LOOK_MS: Final = 50
CALM_S_MAX: Final = 30
"""Longer than any deadline, pause or expiry in the settings; what is not right by then never will be."""
STORM_S_MAX: Final = 600
OUTAGE_MS_MAX: Final = 1_500
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
        self._diary = Diary()
        self._trace = blake2b(digest_size=8)
        self._effects = self._starts = self._points = self._asked = 0
        self._tell_feed: Callable[[Any], None] | None = None
        self._is_calm = False
        self._hosts = self._make_hosts(gauges)
        self._operator = SimulatedTransport(self._network, lambda: None, lambda _: None, lambda _: None)
        self._desk = self._operator.ask_at(service_at(PLACES.run, JUDGE), 100)
        self._voice = Voice("verb", "operator", self._clock)

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
            last_lines=tuple(self._diary.lines[-40:]) if problem else (),
        )

    def _make_hosts(self, gauges: dict[str, Metrics]) -> dict[str, Host]:
        world = World(
            schedule=self._schedule,
            chance=self._chance,
            network=self._network,
            witness=self._witness,
            line=self._line,
        )
        pages = wirings(self._model, self._chance)
        hosts = {name: Host(name, world, page, trace=self._note, died=self._died) for name, page in pages.items()}
        for host in hosts.values():
            host.machine = Machine(
                clock=self._clock,
                disk=SimulatedDisk(self._chance, host.touch),
                diary=self._diary,
                metrics=gauges.get(host.name) or gauges.setdefault(host.name, Metrics(host.name, VERSION)),
                segment_bytes_max=self._chance.dice.choice(SEGMENT_BYTES),
            )
        hosts["execution"].attach = self._stream.attach
        hosts["market_data"].attach = self._attach_feed
        return hosts

    def _storm(self) -> None:
        for host in self._hosts.values():
            self._start_soon(host)
        self._move_market()
        self._arm_soon()
        until_ns = STORM_S_MAX * NS_PER_S
        while self._points < self._plan.crash_points and self._schedule.now_ns < until_ns:
            self._schedule.step()

    def _calm(self) -> None:
        self._is_calm = self._model.is_resting = True
        self._chance.odds = CALM
        for host in self._hosts.values():
            host.fuse = None
        reckoning = Reckoning(self._hosts, self._books, self._line, self._witness)
        until_ns = self._schedule.now_ns + CALM_S_MAX * NS_PER_S
        while open_question := reckoning.unsettled():
            if self._schedule.now_ns > until_ns:
                raise PromiseBroken(f"not right after {CALM_S_MAX} s of calm: {open_question}")
            self._ask("resume")
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

    def _move_market(self) -> None:
        quote = self._books.move()
        if self._tell_feed is not None:
            self._tell_feed(Batch((quote,)))
        self._mischief()
        span = CALM_MARKET_MS if self._is_calm else MARKET_MS
        self._schedule.after(self._chance.between_ms(*span), self._move_market)

    def _mischief(self) -> None:
        chance, odds = self._chance, self._chance.odds
        if chance.happens(odds.stream_drop):
            self._stream.drop()
        if chance.happens(odds.outage):
            self._line.go_out(chance.between_ms(50, OUTAGE_MS_MAX))
            self._stream.drop()
        if chance.happens(odds.feed_drop) and self._tell_feed is not None:
            self._tell_feed(Dropped("connection reset", final=False))
            self._tell_feed(Subscribed())
        if chance.happens(odds.clock_jump):
            self._clock.shift_ns += chance.between_ms(-1_500, 1_500)
        if chance.happens(odds.operator):
            self._ask(chance.dice.choices((Action.RESUME, Action.HALT, Action.CANCEL_ALL), (6, 1, 1))[0])
        if chance.happens(odds.stop):
            self._hosts[chance.dice.choice(tuple(self._hosts))].is_stopping = True

    def _attach_feed(self, deliver: Callable[[Any], None]) -> None:
        self._tell_feed = deliver
        self._schedule.after(self._chance.between_ms(1, 20), lambda: deliver(Subscribed()))

    def _ask(self, action: str) -> None:
        self._asked += 1
        request = Operate(CommandId(f"operator-{self._asked}"), Action(action), "simulated")
        self._desk.send((), (JUDGE.name.encode(), self._voice.header(self._asked), encode(request)))
