"""Requests in flight on one stream, without I/O: the same request again until the answer or the deadline."""

from dataclasses import dataclass
from typing import Any, Final

PENDING_REQUESTS_MAX: Final = 1_024
RETRY_MS_MIN: Final = 25
ATTEMPTS_PER_DEADLINE: Final = 4

_ID_FIELDS: Final = ("intent_id", "command_id", "request_id")


@dataclass(slots=True)
class PendingRequest:
    """One request and when it is sent again; its bytes never change, so the far end sees a repeat."""

    payload: bytes
    deadline_at_ms: int
    retry_at_ms: int
    retry_ms: int
    sent_count: int = 0


class PendingRequests:
    """What was asked and is not answered yet; bounded, so that a dead peer cannot fill memory."""

    def __init__(self, pending_max: int = PENDING_REQUESTS_MAX) -> None:
        self._pending_max = pending_max
        self._pending: dict[str, PendingRequest] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, request_id: str, payload: bytes, now_ms: int, deadline_ms: int) -> PendingRequest | None:
        """Remember a request, due at once; None where no more can be in flight."""
        if len(self._pending) >= self._pending_max:
            return None
        again_ms = max(RETRY_MS_MIN, deadline_ms // ATTEMPTS_PER_DEADLINE)
        asked = self._pending[request_id] = PendingRequest(payload, now_ms + deadline_ms, now_ms, again_ms)
        return asked

    def complete(self, request_id: str) -> bool:
        """Take an answer; False where nobody waits for it (any more)."""
        return self._pending.pop(request_id, None) is not None

    def due(self, now_ms: int) -> list[PendingRequest]:
        """Give what should be sent now, or again."""
        return [asked for asked in self._pending.values() if asked.retry_at_ms <= now_ms]

    def expire(self, now_ms: int) -> list[str]:
        """Give up what has passed its deadline: its outcome is unknown."""
        late = [request_id for request_id, waiting in self._pending.items() if waiting.deadline_at_ms <= now_ms]
        for request_id in late:
            del self._pending[request_id]
        return late


def request_id_of(body: Any) -> str | None:  # noqa: ANN401 -- any answer of any stream
    """Give the id of the request that an answer names; None where it names none."""
    for name in _ID_FIELDS:
        found = getattr(body, name, None)
        if found is not None:
            return str(found)
    return None
