"""A message bus that only stores the calls it receives, and a group committer that a test advances by hand."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from components.contracts.errors import StorageError
from components.contracts.streams import Stream
from components.contracts.values import StreamOffset
from components.runtime.bus.counters import StreamStatistics
from components.runtime.bus.publisher import SnapshotRequested
from components.runtime.service import Inbound


class FakeBus:
    needs_fast_polling = False

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.waiting: list[Inbound] = []
        self.snapshot_requests: list[SnapshotRequested] = []

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:
        self.calls.append(("publish", stream.name, body))

    def publish_record(self, sequence: int, payload: bytes) -> None:
        self.calls.append(("record", sequence))

    def reply(self, reply_to: bytes, body: Any) -> None:
        self.calls.append(("reply", reply_to, body))

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:
        self.calls.append(("request", request_id))

    def send_command(self, stream: Stream, frame: bytes) -> None:
        self.calls.append(("hand_over", frame))

    def receive(self, timeout_ms: int) -> Sequence[Inbound]:
        received, self.waiting = self.waiting, []
        return received

    def drain(self, limit: int) -> list[Inbound]:
        return list(self.receive(0))

    def is_readable(self) -> bool:
        return bool(self.waiting)

    def filenos(self) -> tuple[int, ...]:
        return ()

    def register_fd(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        self.calls.append(("watch", descriptor))

    def poll_background(self) -> list[Inbound]:
        return []

    def poll_snapshot_requests(self) -> list[SnapshotRequested]:
        wanted, self.snapshot_requests = self.snapshot_requests, []
        return wanted

    def send_snapshot(self, request: SnapshotRequested, messages: Iterable[Any]) -> None:
        self.calls.append(("snapshot", request.stream.name, tuple(messages)))

    def publish_heartbeats(self) -> None:
        self.calls.append(("heartbeat",))

    def offsets(self) -> tuple[StreamOffset, ...]:
        return ()

    def statistics(self) -> Sequence[StreamStatistics]:
        return ()

    def close(self) -> None:
        self.calls.append(("close",))


class FakeCommitter:
    """Everything submitted becomes durable when the test says so; with `inline`, at once."""

    def __init__(self, *, inline: bool = False) -> None:
        self.submitted = self.durable_sequence = 0
        self.failure: StorageError | None = None
        self.acknowledged = 0
        self._inline = inline

    def submit(self, at_ns: int, payload: bytes) -> int:
        self.submitted += 1
        return self.submitted

    def flush_inline(self) -> bool:
        if self._inline:
            self.durable_sequence = self.submitted
        return self._inline

    def fileno(self) -> int:
        return -1

    def clear_notification(self) -> None:
        self.acknowledged += 1
