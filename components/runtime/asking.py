"""Requests in flight on one stream, without I/O: the same request again until the answer or the deadline."""

from dataclasses import dataclass
from typing import Any, Final

IN_FLIGHT_MAX: Final = 1_024
ASK_AGAIN_MS_MIN: Final = 25
ATTEMPTS_PER_DEADLINE: Final = 4

_NAMES_OF_IDS: Final = ("intent_id", "command_id", "request_id")


@dataclass(slots=True)
class InFlight:
    """One request and when it is sent again; its bytes never change, so the far end sees a repeat."""

    payload: bytes
    deadline_at_ms: int
    again_at_ms: int
    again_ms: int
    sent_count: int = 0


class Asking:
    """What was asked and is not answered yet; bounded, so that a dead peer cannot fill memory."""

    def __init__(self, in_flight_max: int = IN_FLIGHT_MAX) -> None:
        self._in_flight_max = in_flight_max
        self._in_flight: dict[str, InFlight] = {}

    def __len__(self) -> int:
        return len(self._in_flight)

    def begin(self, request_id: str, payload: bytes, now_ms: int, deadline_ms: int) -> InFlight | None:
        """Remember a request, due at once; None where no more can be in flight."""
        if len(self._in_flight) >= self._in_flight_max:
            return None
        again_ms = max(ASK_AGAIN_MS_MIN, deadline_ms // ATTEMPTS_PER_DEADLINE)
        asked = self._in_flight[request_id] = InFlight(payload, now_ms + deadline_ms, now_ms, again_ms)
        return asked

    def settle(self, request_id: str) -> bool:
        """Take an answer; False where nobody waits for it (any more)."""
        return self._in_flight.pop(request_id, None) is not None

    def due(self, now_ms: int) -> list[InFlight]:
        """Give what should be sent now, or again."""
        return [asked for asked in self._in_flight.values() if asked.again_at_ms <= now_ms]

    def expire(self, now_ms: int) -> list[str]:
        """Give up what has passed its deadline: its outcome is unknown."""
        late = [request_id for request_id, waiting in self._in_flight.items() if waiting.deadline_at_ms <= now_ms]
        for request_id in late:
            del self._in_flight[request_id]
        return late


def id_within(body: Any) -> str | None:  # noqa: ANN401 -- any answer of any stream
    """Give the id of the request that an answer names; None where it names none."""
    for name in _NAMES_OF_IDS:
        found = getattr(body, name, None)
        if found is not None:
            return str(found)
    return None
