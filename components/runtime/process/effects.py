"""Executes the effects that a service returns, in order.

An effect that follows an `Append` is executed only after that record is durable, so a service cannot send before it has
logged (write-ahead).
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from components.contracts.errors import InvariantError, StorageError
from components.runtime.bus.bus import Bus
from components.runtime.bus.codec import encode
from components.runtime.bus.publisher import SnapshotRequested
from components.runtime.clock import NS_PER_S, Clock
from components.runtime.service import (
    Append,
    CallVenue,
    Effect,
    LogEvent,
    ObserveLatency,
    Publish,
    Reply,
    Request,
    SendCommand,
    Terminate,
)


class RecordCommitter(Protocol):
    """Makes journal entries durable (components.runtime.journal.group_commit.GroupCommitter)."""

    failure: StorageError | None

    @property
    def durable_sequence(self) -> int:
        """The last durable sequence."""

    def submit(self, at_ns: int, payload: bytes) -> int:
        """Queue an entry and return the sequence it will have."""

    def flush_inline(self) -> bool:
        """Write the queued entries in this thread if the journal is in memory.

        Return False if another thread does it.
        """

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `durable_sequence` advanced."""

    def clear_notification(self) -> None:
        """Reset the descriptor."""


class Logger(Protocol):
    """The logger that receives LogEvents."""

    def debug(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 -- as the logger declares it
        """Log one event."""

    def info(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 -- as the logger declares it
        """Log one event."""

    def warning(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 -- as the logger declares it
        """Log one event."""

    def error(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 -- as the logger declares it
        """Log one event."""

    def critical(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 -- as the logger declares it
        """Log one event."""


class PendingRecord(Struct, frozen=True, gc=False):
    """A record that is being synced; every effect behind it waits."""

    sequence: int
    payload: bytes


class PendingSnapshot(Struct, frozen=True, gc=False):
    """A snapshot in its place among the effects.

    It may already contain the change of a record that is still pending.
    """

    request: SnapshotRequested
    messages: tuple[Any, ...]


Pending: TypeAlias = Effect | PendingRecord | PendingSnapshot


class EffectExecutor:
    """Executes effects over the bus, the journal, the log and the venue client."""

    def __init__(
        self, bus: Bus, clock: Clock, log: Logger, committer: RecordCommitter | None, call: Callable[[Any], None] | None
    ) -> None:
        self._bus, self._clock, self._log, self._committer, self._call = bus, clock, log, committer, call
        self._pending: deque[Pending] = deque()

    @property
    def is_idle(self) -> bool:
        """Return whether no effect waits for the journal."""
        return not self._pending

    def execute(self, effects: Iterable[Pending]) -> None:
        """Execute these effects after all earlier ones."""
        appended = False
        for effect in effects:
            if type(effect) is Append:
                self._pending.append(self._submit(effect))
                appended = True
            elif self._pending:
                self._pending.append(effect)
            else:
                self._perform(effect)
        if appended and self._committer is not None and self._committer.flush_inline():
            self.release_durable()

    def release_durable(self) -> None:
        """Execute the effects whose records are durable now. Raises StorageError if the journal failed.

        The records themselves are published last, so that an order leaves before its own record is published.
        """
        committer = self._committer
        if committer is None:
            return
        durable, pending = committer.durable_sequence, self._pending
        records: list[PendingRecord] = []
        try:
            while pending and not (type(pending[0]) is PendingRecord and pending[0].sequence > durable):
                effect = pending.popleft()
                if type(effect) is PendingRecord:
                    records.append(effect)
                else:
                    self._perform(effect)
        finally:
            for record in records:
                self._perform(record)
        if committer.failure is not None:
            raise committer.failure

    def on_synced(self) -> None:
        """Handle the notification that records became durable."""
        if self._committer is not None:
            self._committer.clear_notification()
            self.release_durable()

    def _submit(self, effect: Append) -> PendingRecord:
        if self._committer is None:
            raise InvariantError(f"{type(effect.entry).__name__} appended by a process that has no journal")
        payload = encode(effect.entry)
        return PendingRecord(self._committer.submit(self._clock.now_ns(), payload), payload)

    def _perform(self, effect: Pending) -> None:  # noqa: C901, PLR0912 -- one line for each kind of effect
        match effect:
            case Publish(stream, body, event_at_ns, received_at_ns):
                self._bus.publish(stream, body, event_at_ns, received_at_ns)
            case Request(stream, request_id, body, deadline_ms):
                self._bus.request(stream, request_id, body, deadline_ms)
            case Reply(reply_to, body):
                self._bus.reply(reply_to, body)
            case SendCommand(stream, frame):
                self._bus.send_command(stream, frame)
            case PendingRecord(sequence, payload):
                self._bus.publish_record(sequence, payload)
            case CallVenue(request):
                self._call_venue(request)
            case LogEvent(event, fields, level):
                getattr(self._log, level)(event, **fields)
            case ObserveLatency(measure, since_ns):
                measure((self._clock.now_ns() - since_ns) / NS_PER_S)
            case PendingSnapshot(snapshot_request, messages):
                self._bus.send_snapshot(snapshot_request, messages)
            case Terminate(error):
                raise error
            case Append():
                raise InvariantError("an Append is submitted, not executed")

    def _call_venue(self, request: Any) -> None:  # noqa: ANN401 -- any value of the adapter's protocol
        if self._call is None:
            raise InvariantError(f"{type(request).__name__} called by a process that has no venue")
        self._call(request)
