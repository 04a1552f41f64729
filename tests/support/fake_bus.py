"""A bus that only writes down what it is told, and a sync thread that a test moves by hand."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from components.contracts.errors import IoFailed
from components.contracts.topics import Stream
from components.contracts.values import Place
from components.runtime.service import Inbound
from components.runtime.side import SnapshotWanted
from components.runtime.tally import Statistics


class FakeBus:
    is_hurried = False

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.waiting: list[Inbound] = []
        self.wanted: list[SnapshotWanted] = []

    def publish(self, stream: Stream, body: Any, event_at_ns: int = 0, received_at_ns: int = 0) -> None:
        self.said.append(("publish", stream.name, body))

    def publish_record(self, sequence: int, payload: bytes) -> None:
        self.said.append(("record", sequence))

    def reply(self, ticket: bytes, body: Any) -> None:
        self.said.append(("reply", ticket, body))

    def request(self, stream: Stream, request_id: str, body: Any, deadline_ms: int) -> None:
        self.said.append(("request", request_id))

    def hand_over(self, stream: Stream, frame: bytes) -> None:
        self.said.append(("hand_over", frame))

    def receive(self, timeout_ms: int) -> Sequence[Inbound]:
        heard, self.waiting = self.waiting, []
        return heard

    def drain(self, limit: int) -> list[Inbound]:
        return list(self.receive(0))

    def is_readable(self) -> bool:
        return bool(self.waiting)

    def filenos(self) -> tuple[int, ...]:
        return ()

    def watch(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        self.said.append(("watch", descriptor))

    def tend(self) -> list[Inbound]:
        return []

    def snapshots_wanted(self) -> list[SnapshotWanted]:
        wanted, self.wanted = self.wanted, []
        return wanted

    def give_snapshot(self, wanted: SnapshotWanted, messages: Iterable[Any]) -> None:
        self.said.append(("snapshot", wanted.stream.name, tuple(messages)))

    def heartbeat(self) -> None:
        self.said.append(("heartbeat",))

    def places(self) -> tuple[Place, ...]:
        return ()

    def statistics(self) -> Sequence[Statistics]:
        return ()

    def close(self) -> None:
        self.said.append(("close",))


class FakeSyncing:
    """Everything submitted is on disk when the test says so; with `inline`, at once."""

    def __init__(self, *, inline: bool = False) -> None:
        self.submitted = self.synced = 0
        self.failure: IoFailed | None = None
        self.acknowledged = 0
        self._inline = inline

    def submit(self, at_ns: int, payload: bytes) -> int:
        self.submitted += 1
        return self.submitted

    def flush_inline(self) -> bool:
        if self._inline:
            self.synced = self.submitted
        return self._inline

    def fileno(self) -> int:
        return -1

    def acknowledge(self) -> None:
        self.acknowledged += 1
