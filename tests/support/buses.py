"""Real buses on real sockets in one test: opened by name, turned by hand, closed at the end."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from components.contracts.health import Beat
from components.contracts.topics import HEALTH, Stream
from components.contracts.values import Place
from components.runtime.bus import Bus, open_bus
from components.runtime.clock import Clock, SystemClock
from components.runtime.lines import Lines
from components.runtime.metrics import Metrics
from components.runtime.service import Heard, Inbound, Joined, Lost
from tests.support.eventually import eventually
from tests.support.ledgers import Log


@dataclass
class Kept:
    """A record as a journal gives it."""

    sequence: int
    payload: bytes


@dataclass
class Party:
    """One process's end of the bus, what it heard, and what it answers to late joiners."""

    bus: Bus
    lines: Lines
    log: Log
    metrics: Metrics
    state: Callable[[Stream], tuple[Any, ...]]
    got: list[Inbound] = field(default_factory=list)

    def turn(self, limit: int = 64) -> None:
        """Take what is there, without waiting."""
        self.got += self.bus.drain(limit)
        self.got += self.bus.tend()
        for wanted in self.bus.snapshots_wanted():
            self.bus.give_snapshot(wanted, self.state(wanted.stream))

    def all(self, kind: type) -> list[Any]:
        return [one for one in self.got if isinstance(one, kind)]

    def heard(self) -> list[int]:
        return [one.header.sequence for one in self.all(Heard)]

    def lost(self) -> list[tuple[int, str]]:
        return [(one.missing, one.reason) for one in self.all(Lost)]

    def joined(self) -> list[Place]:
        return [one.place for one in self.all(Joined)]

    def counts(self, stream: Stream) -> Mapping[str, int]:
        (found,) = [one.counts for one in self.bus.statistics() if one.stream == stream.name]
        return {name: count for name, count in found.items() if count}


@dataclass
class Ring:
    """Every party of one test and the folder of their sockets."""

    run: Path
    parties: list[Party] = field(default_factory=list)
    clock: Clock = field(default_factory=SystemClock)

    def open(
        self,
        component: str,
        *,
        records: Callable[[int], Any] | None = None,
        state: Callable[[Stream], tuple[Any, ...]] = lambda _: (),
        **lines: Any,
    ) -> Party:
        log, metrics, wanted = Log(), Metrics(component, "test"), Lines(component=component, **lines)
        bus = open_bus(self.run, wanted, clock=self.clock, metrics=metrics, log=log, records=records)
        party = Party(bus, wanted, log, metrics, state)
        self.parties.append(party)
        return party

    def close(self, party: Party) -> None:
        self.parties.remove(party)
        party.bus.close()

    def until(self, probe: Callable[[], Any], *, within_s: float = 5.0, beating: Party | None = None) -> Any:
        """Turn everybody until the probe is true."""

        def turned() -> Any:
            if beating is not None:
                beating.bus.heartbeat()
            for party in self.parties:
                party.turn()
            return probe()

        return eventually(turned, within_s=within_s, every_s=0.001)


@contextmanager
def ring() -> Iterator[Ring]:
    """Make a short, private run folder, and leave nothing open or behind."""
    run = Path(tempfile.mkdtemp(prefix="xr-"))
    opened = Ring(run)
    try:
        yield opened
    finally:
        for party in list(opened.parties):
            opened.close(party)
        shutil.rmtree(run)


class Turning:
    """Turns a party on a thread of its own, as its process would."""

    def __init__(self, party: Party, then: Callable[[], object] = lambda: None) -> None:
        self._party, self._then, self._ended = party, then, Event()
        self._thread = Thread(target=self._turn)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _turn(self) -> None:
        while not self._ended.wait(0.005):
            self._party.turn()
            self._then()


def beat(number: int) -> Beat:
    """Make a small message of a stream that anybody may say."""
    return Beat("risk", "1", (), (), number)


def say(party: Party, count: int, *, first: int = 1, stream: Stream = HEALTH) -> None:
    """Say numbered beats."""
    for number in range(first, first + count):
        party.bus.publish(stream, beat(number))
