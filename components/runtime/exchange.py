"""One process's end of every stream: what it says, hears, asks and answers, over the sockets of one transport."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from components.contracts.errors import InvariantError
from components.contracts.topics import Stream
from components.contracts.values import Place
from components.runtime.answering import Answering
from components.runtime.endpoints import publications, service
from components.runtime.endpoints import side as side_of
from components.runtime.following import Inbounds
from components.runtime.hearing import SIDE_MARK, Hearing
from components.runtime.lines import Lines
from components.runtime.metrics import Metrics
from components.runtime.requesting import Requesting
from components.runtime.service import Inbound, Unanswered
from components.runtime.side import Records, SideDesk, SnapshotWanted
from components.runtime.speaking import Speaking, Voice
from components.runtime.tally import Log, Statistics, Tallies
from components.runtime.zmq_bus import Port, Transport

HURRIED_MS: Final = 500
"""After somebody came to the side, more is expected there."""

Hear = Callable[[list[bytes]], Inbounds]


class Exchange:
    """The bus as one process has it; satisfies components.runtime.bus.Bus."""

    def __init__(  # noqa: PLR0913  # what every duty of the bus shares, given by whoever opens it
        self,
        run: Path,
        lines: Lines,
        voice: Voice,
        transport: Transport,
        *,
        metrics: Metrics,
        log: Log,
        records: Records | None,
    ) -> None:
        self._voice, self._transport = voice, transport
        self._tallies = Tallies(lines.streams, metrics, voice.clock, log)
        self._handlers: dict[Port, Hear] = {}
        self._late: list[Inbound] = []
        self._hurried_until_ms = 0
        with ExitStack() as undo:
            undo.callback(self._transport.close)
            self._hearing = (
                Hearing(self._transport, run, lines.hears, self._tallies, self._voice) if lines.hears else None
            )
            if self._hearing is not None:
                self._heat(self._hearing.port, self._hearing.hear)
            self._speaking, self._desk = self._speak(run, lines, metrics, records)
            self._answering = [self._answer(run, index, stream) for index, stream in enumerate(lines.answers)]
            self._requesting = {stream.name: self._request(run, stream) for stream in (*lines.asks, *lines.hands_over)}
            self._only = next(iter(self._handlers)) if len(self._handlers) == 1 else None
            undo.pop_all()

    @property
    def is_hurried(self) -> bool:
        """Say whether `tend` should be called again soon: something is being fetched, here or by a peer."""
        return self._now_ms() < self._hurried_until_ms or (self._hearing is not None and self._hearing.is_joining)

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:  # noqa: ANN401
        """Say a message of a state stream."""
        if self._speaking is None:
            raise InvariantError(f"{stream.name} is not among the lines of this process")
        self._speaking.publish(stream, body, event_at_ns, received_at_ns)

    def publish_record(self, sequence: int, payload: bytes) -> None:
        """Read a record of the journal aloud; it is on disk."""
        if self._speaking is not None:
            self._speaking.publish_record(sequence, payload)

    def reply(self, ticket: bytes, body: Any) -> None:  # noqa: ANN401 -- any answer of the stream
        """Answer whoever holds this ticket."""
        self._answering[ticket[0]].reply(ticket, body)

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:  # noqa: ANN401
        """Ask; Answered or Unanswered comes out of a later receive or tend."""
        if not self._requesting[stream.name].request(request_id, body, self._now_ms(), deadline_ms):
            self._late.append(Unanswered(request_id))

    def hand_over(self, stream: Stream, frame: bytes) -> None:
        """Send a sealed frame if it can leave now."""
        self._requesting[stream.name].hand_over(frame)

    def receive(self, timeout_ms: int) -> Inbounds:
        """Wait for messages, one of each socket at most, so that none starves another."""
        only = self._only
        if only is not None:
            frames = only.read_within(timeout_ms)
            return () if frames is None else self._handlers[only](frames)
        ready = self._transport.wait(timeout_ms)
        if len(ready) == 1:
            return self._handlers[ready[0]](ready[0].read())
        return [inbound for port in ready for inbound in self._handlers[port](port.read())]

    def drain(self, limit: int) -> list[Inbound]:
        """Take what is there, at most so many messages of each socket, without waiting."""
        inbounds: list[Inbound] = []
        for port, handler in self._handlers.items():
            for _ in range(limit):
                if not port.is_readable():
                    break
                inbounds += handler(port.read())
        return inbounds

    def is_readable(self) -> bool:
        """Say whether messages wait; ask after every send, which may have swallowed the descriptor's edge."""
        return any(port.is_readable() for port in self._handlers)

    def filenos(self) -> tuple[int, ...]:
        """Give the descriptors to watch, edge-triggered."""
        return tuple(port.fileno() for port in self._handlers)

    def watch(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Have `receive` wake up for this descriptor too, and tell its owner before it gives any message."""
        self._transport.watch(descriptor, on_readable)
        self._only = None

    def tend(self) -> list[Inbound]:
        """Do what is not hot: joins, replays, newcomers, deadlines, silence."""
        now_ms = self._now_ms()
        inbounds, self._late = self._late, []
        if self._hearing is not None:
            inbounds += self._hearing.tend(now_ms)
        for requesting in self._requesting.values():
            inbounds += requesting.tend(now_ms)
        if self._speaking is not None and self._speaking.greet():
            self._hurried_until_ms = now_ms + HURRIED_MS
        return inbounds

    def snapshots_wanted(self) -> list[SnapshotWanted]:
        """Serve the side socket; give what only the service can answer."""
        wanted = self._desk.tend() if self._desk is not None else []
        if wanted:
            self._hurried_until_ms = self._now_ms() + HURRIED_MS
        return wanted

    def give_snapshot(self, wanted: SnapshotWanted, messages: Iterable[Any]) -> None:
        """Send a state as it is after the last message said on its stream."""
        if self._desk is not None:
            self._desk.give(wanted, messages)

    def heartbeat(self) -> None:
        """Once a second: say each stream's place, tell producers ours, bring the metrics up to date."""
        if self._speaking is not None:
            self._speaking.heartbeat()
        if self._hearing is not None:
            self._hearing.report()
        self._tallies.move()

    def places(self) -> tuple[Place, ...]:
        """Give how far each stream is heard."""
        return self._hearing.places() if self._hearing is not None else ()

    def statistics(self) -> Sequence[Statistics]:
        """Give what was counted, stream by stream."""
        return self._tallies.statistics()

    def close(self) -> None:
        """Close every socket; last words may leave within their bound."""
        self._tallies.move()
        self._transport.close()

    def _now_ms(self) -> int:
        return self._voice.clock.monotonic_ns() // 1_000_000

    def _heat(self, port: Port, handler: Hear) -> None:
        self._transport.heat(port)
        self._handlers[port] = handler

    def _speak(
        self, run: Path, lines: Lines, metrics: Metrics, records: Records | None
    ) -> tuple[Speaking | None, SideDesk | None]:
        if not lines.says and lines.record is None:
            return None, None
        said = (*lines.says, *((lines.record,) if lines.record is not None else ()))
        mark = max(stream.high_water_mark for stream in said)
        speaking = Speaking(self._transport.publish_at(publications(run, lines.component), mark), self._voice)
        for stream in lines.says:
            speaking.open_state(stream, self._tallies.of(stream))
        if lines.record is not None:
            speaking.open_record(lines.record, self._tallies.of(lines.record), lines.journal_id, lines.last_sequence)
        lag = metrics.gauge(
            "bus_subscriber_lag_messages", "How far a hearer is behind, as it says.", ("stream", "subscriber")
        )
        server = self._transport.serve_at(side_of(run, lines.component), SIDE_MARK)
        return speaking, SideDesk(server, speaking, records, self._tallies.of(said[-1]), lag)

    def _answer(self, run: Path, index: int, stream: Stream) -> Answering:
        server = self._transport.serve_at(service(run, stream), stream.high_water_mark)
        answering = Answering(index, stream, server, self._tallies.of(stream), self._voice)
        self._heat(server, answering.hear)
        return answering

    def _request(self, run: Path, stream: Stream) -> Requesting:
        client = self._transport.ask_at(service(run, stream), stream.high_water_mark)
        requesting = Requesting(stream, client, self._tallies.of(stream), self._voice)
        self._heat(client, requesting.hear)
        return requesting
