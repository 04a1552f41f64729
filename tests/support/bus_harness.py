"""Real message buses on real sockets in one test: opened by component name, polled by hand, closed at the end."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any

from components.contracts.protocol import ComponentHealth
from components.contracts.streams import HEALTH, Stream
from components.contracts.values import StreamOffset
from components.runtime.bus.bus import Bus, open_bus
from components.runtime.clock import Clock, SystemClock
from components.runtime.metrics import Metrics
from components.runtime.service import Inbound, MessageReceived, StreamBindings, StreamLost, StreamSynced
from tests.support.captured_log import CapturedLog
from tests.support.eventually import eventually


@dataclass
class StoredRecord:
    """A record as a journal returns it."""

    sequence: int
    payload: bytes


@dataclass
class BusEndpoint:
    """One process's end of the bus, what it received, and the snapshots it serves."""

    bus: Bus
    bindings: StreamBindings
    log: CapturedLog
    metrics: Metrics
    snapshot: Callable[[Stream], tuple[Any, ...]]
    inbounds: list[Inbound] = field(default_factory=list)

    def poll(self, limit: int = 64) -> None:
        """Receive what is there, without waiting."""
        self.inbounds += self.bus.drain(limit)
        self.inbounds += self.bus.poll_background()
        for wanted in self.bus.poll_snapshot_requests():
            self.bus.send_snapshot(wanted, self.snapshot(wanted.stream))

    def all(self, kind: type) -> list[Any]:
        return [one for one in self.inbounds if isinstance(one, kind)]

    def sequences(self) -> list[int]:
        return [one.header.sequence for one in self.all(MessageReceived)]

    def lost(self) -> list[tuple[int, str]]:
        return [(one.missing, one.reason) for one in self.all(StreamLost)]

    def synced_offsets(self) -> list[StreamOffset]:
        return [one.offset for one in self.all(StreamSynced)]

    def counts(self, stream: Stream) -> Mapping[str, int]:
        (found,) = [one.counts for one in self.bus.statistics() if one.stream == stream.name]
        return {name: count for name, count in found.items() if count}


@dataclass
class BusHarness:
    """Every bus endpoint of one test and the folder of their sockets."""

    run_folder: Path
    endpoints: list[BusEndpoint] = field(default_factory=list)
    clock: Clock = field(default_factory=SystemClock)

    def open(
        self,
        component: str,
        *,
        records: Callable[[int], Any] | None = None,
        state: Callable[[Stream], tuple[Any, ...]] = lambda _: (),
        **lines: Any,
    ) -> BusEndpoint:
        log, metrics, wanted = CapturedLog(), Metrics(component, "test"), StreamBindings(component=component, **lines)
        bus = open_bus(self.run_folder, wanted, clock=self.clock, metrics=metrics, log=log, records=records)
        party = BusEndpoint(bus, wanted, log, metrics, state)
        self.endpoints.append(party)
        return party

    def close(self, party: BusEndpoint) -> None:
        self.endpoints.remove(party)
        party.bus.close()

    def poll_until(
        self, probe: Callable[[], Any], *, within_s: float = 5.0, heartbeat_from: BusEndpoint | None = None
    ) -> Any:
        """Poll every endpoint until the probe is true."""

        def turned() -> Any:
            if heartbeat_from is not None:
                heartbeat_from.bus.publish_heartbeats()
            for party in self.endpoints:
                party.poll()
            return probe()

        return eventually(turned, within_s=within_s, every_s=0.001)


@contextmanager
def bus_harness() -> Iterator[BusHarness]:
    """Create a short, private run folder; close every endpoint and remove the folder at the end."""
    run = Path(tempfile.mkdtemp(prefix="xr-"))
    opened = BusHarness(run)
    try:
        yield opened
    finally:
        for party in list(opened.endpoints):
            opened.close(party)
        shutil.rmtree(run)


class PollingThread:
    """Polls an endpoint on a thread of its own, as its process would."""

    def __init__(self, party: BusEndpoint, then: Callable[[], object] = lambda: None) -> None:
        self._party, self._then, self._ended = party, then, Event()
        self._thread = Thread(target=self._turn)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _turn(self) -> None:
        while not self._ended.wait(0.005):
            self._party.poll()
            self._then()


def health_message(number: int) -> ComponentHealth:
    """Return a small message of a stream that every component may publish."""
    return ComponentHealth("risk", "1", (), (), number)


def publish_health(party: BusEndpoint, count: int, *, first: int = 1, stream: Stream = HEALTH) -> None:
    """Publish numbered health messages."""
    for number in range(first, first + count):
        party.bus.publish(stream, health_message(number))
