"""The seam of every transport: what a process can do on the bus; nothing above it knows the engine."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from components.contracts.errors import PeerUnreachable
from components.contracts.topics import Stream, StreamClass
from components.contracts.values import StreamOffset
from components.runtime.clock import Clock, SystemClock
from components.runtime.codec import encode
from components.runtime.endpoints import request_path
from components.runtime.exchange import MessageBus
from components.runtime.following import Inbounds
from components.runtime.lines import StreamBindings
from components.runtime.logs import logger
from components.runtime.metrics import Metrics
from components.runtime.requesting import decode_reply
from components.runtime.service import Inbound, MessageReceived
from components.runtime.side import RecordReader, SnapshotRequested
from components.runtime.speaking import Producer, new_run_id
from components.runtime.tally import Log, StreamStatistics
from components.runtime.zmq_bus import Transport, request_frames_once

NS_PER_MS: Final = 1_000_000
CLI_CLIENT: Final = "verb"
CLI_POLL_MS: Final = 20
"""How often a verb that waits looks to its joins and retries."""


class Bus(Protocol):
    """One process's end of every stream."""

    @property
    def needs_fast_polling(self) -> bool:
        """Say whether `tend` should be called again soon."""

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Say a message of a state stream."""

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Read a record of the journal aloud; it is on disk."""

    def reply(self, reply_to: bytes, body: Any) -> None:  # noqa: ANN401 -- any answer of the stream
        """Answer whoever holds this ticket."""

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:  # noqa: ANN401
        """Ask; Answered or Unanswered comes out of a later receive or tend."""

    def send_command(self, stream: Stream, frame: bytes) -> None:
        """Send a sealed frame if it can leave now."""

    def receive(self, timeout_ms: int) -> Inbounds:
        """Wait for messages."""

    def drain(self, limit: int) -> list[Inbound]:
        """Take what is there without waiting."""

    def is_readable(self) -> bool:
        """Say whether messages wait; ask after every send."""

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors to watch, edge-triggered."""

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Have `receive` wake up for this descriptor too, and tell its owner before it gives any message."""

    def poll_background(self) -> list[Inbound]:
        """Do what is not hot: joins, replays, newcomers, deadlines, silence."""

    def poll_snapshot_requests(self) -> list[SnapshotRequested]:
        """Give what late joiners want that only the service can answer."""

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        """Send a state as it is after the last message said on its stream."""

    def publish_heartbeats(self) -> None:
        """Once a second: say each stream's place, tell producers ours, bring the metrics up to date."""

    def offsets(self) -> tuple[StreamOffset, ...]:
        """Give how far each stream is heard."""

    def statistics(self) -> Sequence[StreamStatistics]:
        """Give what was counted, stream by stream."""

    def close(self) -> None:
        """Close every socket; last words may leave within their bound."""


def open_bus(
    run: Path,
    bindings: StreamBindings,
    *,
    clock: Clock,
    metrics: Metrics,
    log: Log,
    records: RecordReader | None = None,
) -> Bus:
    """Open one process's end of every stream in `lines`; Busy where another process holds it.

    `records` reads the journal of the record stream from a sequence on, for replays.
    """
    voice = Producer(bindings.component, new_run_id(), clock)
    return MessageBus(run, bindings, voice, Transport(), metrics=metrics, log=log, records=records)


def request_once(run: Path, stream: Stream, body: Any, deadline_ms: int) -> Any:  # noqa: ANN401 -- any request, any answer
    """Ask a running process once, for a verb; PeerUnreachable means the outcome is unknown.

    On a sealed stream the body is the frame itself.
    """
    payload = body if stream.stream_class is StreamClass.SEALED else encode(body)
    header = Producer(CLI_CLIENT, new_run_id(), SystemClock()).header()
    frames = request_frames_once(request_path(run, stream), (stream.name.encode(), header, payload), deadline_ms)
    if frames is None:
        (answerer,) = stream.consumers
        raise PeerUnreachable(f"{answerer} did not answer on {stream.name} within {deadline_ms} ms; is it running?")
    return decode_reply(stream, frames)


def follow(
    run: Path, stream: Stream, since: StreamOffset | None = None, *, idle_timeout_ms: int | None = None
) -> Iterator[MessageReceived]:
    """Follow a stream, for a verb, until the caller has enough or nothing came for `quiet_ms_max`.

    With a place, an event stream is replayed from behind it; a state stream begins with what is said next.
    """
    clock = SystemClock()
    lines = StreamBindings(component=CLI_CLIENT, subscribes={stream: since})
    bus = open_bus(run, lines, clock=clock, metrics=Metrics(CLI_CLIENT, ""), log=logger())
    quiet_since_ns = clock.monotonic_ns()
    try:
        while idle_timeout_ms is None or clock.monotonic_ns() - quiet_since_ns < idle_timeout_ms * NS_PER_MS:
            for inbound in (*bus.receive(CLI_POLL_MS), *bus.poll_background()):
                if isinstance(inbound, MessageReceived):
                    quiet_since_ns = clock.monotonic_ns()
                    yield inbound
    finally:
        bus.close()
