"""The seam of every transport: what a process can do on the bus; nothing above it knows the engine."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from components.contracts.errors import PeerUnreachable
from components.contracts.topics import Stream, StreamClass
from components.contracts.values import Place
from components.runtime.clock import Clock, SystemClock
from components.runtime.codec import encode
from components.runtime.endpoints import service
from components.runtime.exchange import Exchange
from components.runtime.following import Inbounds
from components.runtime.lines import Lines
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.requesting import understand_answer
from components.runtime.service import Heard, Inbound
from components.runtime.side import Records, SnapshotWanted
from components.runtime.speaking import Voice, new_run
from components.runtime.tally import Log, Statistics
from components.runtime.zmq_bus import Transport, question

NS_PER_MS: Final = 1_000_000
VERB: Final = "verb"
VERB_TURN_MS: Final = 20
"""How often a verb that waits looks to its joins and retries."""


class Bus(Protocol):
    """One process's end of every stream."""

    @property
    def is_hurried(self) -> bool:
        """Say whether `tend` should be called again soon."""

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Say a message of a state stream."""

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Read a record of the journal aloud; it is on disk."""

    def reply(self, ticket: bytes, body: Any) -> None:  # noqa: ANN401 -- any answer of the stream
        """Answer whoever holds this ticket."""

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:  # noqa: ANN401
        """Ask; Answered or Unanswered comes out of a later receive or tend."""

    def hand_over(self, stream: Stream, frame: bytes) -> None:
        """Send a sealed frame if it can leave now."""

    def receive(self, timeout_ms: int) -> Inbounds:
        """Wait for messages."""

    def drain(self, limit: int) -> list[Inbound]:
        """Take what is there without waiting."""

    def is_readable(self) -> bool:
        """Say whether messages wait; ask after every send."""

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors to watch, edge-triggered."""

    def watch(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Have `receive` wake up for this descriptor too, and tell its owner before it gives any message."""

    def tend(self) -> list[Inbound]:
        """Do what is not hot: joins, replays, newcomers, deadlines, silence."""

    def snapshots_wanted(self) -> list[SnapshotWanted]:
        """Give what late joiners want that only the service can answer."""

    def give_snapshot(self, wanted: SnapshotWanted, messages: Iterable[Any]) -> None:
        """Send a state as it is after the last message said on its stream."""

    def heartbeat(self) -> None:
        """Once a second: say each stream's place, tell producers ours, bring the metrics up to date."""

    def places(self) -> tuple[Place, ...]:
        """Give how far each stream is heard."""

    def statistics(self) -> Sequence[Statistics]:
        """Give what was counted, stream by stream."""

    def close(self) -> None:
        """Close every socket; last words may leave within their bound."""


def open_bus(
    run: Path, lines: Lines, *, clock: Clock, metrics: Metrics, log: Log, records: Records | None = None
) -> Bus:
    """Open one process's end of every stream in `lines`; Busy where another process holds it.

    `records` reads the journal of the record stream from a sequence on, for replays.
    """
    voice = Voice(lines.component, new_run(), clock)
    return Exchange(run, lines, voice, Transport(), metrics=metrics, log=log, records=records)


def ask(run: Path, stream: Stream, body: Any, deadline_ms: int) -> Any:  # noqa: ANN401 -- any request, any answer
    """Ask a running process once, for a verb; PeerUnreachable means the outcome is unknown.

    On a sealed stream the body is the frame itself.
    """
    payload = body if stream.kind is StreamClass.SEALED else encode(body)
    header = Voice(VERB, new_run(), SystemClock()).header()
    frames = question(service(run, stream), (stream.name.encode(), header, payload), deadline_ms)
    if frames is None:
        (answerer,) = stream.hearers
        raise PeerUnreachable(f"{answerer} did not answer on {stream.name} within {deadline_ms} ms; is it running?")
    return understand_answer(stream, frames)


def tail(run: Path, stream: Stream, since: Place | None = None, *, quiet_ms_max: int | None = None) -> Iterator[Heard]:
    """Follow a stream, for a verb, until the caller has enough or nothing came for `quiet_ms_max`.

    With a place, an event stream is replayed from behind it; a state stream begins with what is said next.
    """
    clock = SystemClock()
    lines = Lines(component=VERB, hears={stream: since})
    bus = open_bus(run, lines, clock=clock, metrics=Metrics(VERB, ""), log=logger())
    quiet_since_ns = clock.monotonic_ns()
    try:
        while quiet_ms_max is None or clock.monotonic_ns() - quiet_since_ns < quiet_ms_max * NS_PER_MS:
            for inbound in (*bus.receive(VERB_TURN_MS), *bus.tend()):
                if isinstance(inbound, Heard):
                    quiet_since_ns = clock.monotonic_ns()
                    yield inbound
    finally:
        bus.close()
