"""How a drill lies about the market: which fault, at which venue, when; the same seed gives the same plan."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

INJECTION_PAUSE_MS: Final = (250, 900)
"""Short enough that faults meet the recovery from those before, long enough that books are in sync in between."""

FRAMES_SKIPPED_MAX: Final = 5

FAULT_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "drop": {"topic": "book"},
    "duplicate": {"topic": "book"},
    "delay": {"ms": 400},
    "swap": {"topic": "book"},
    "close": {"code": 1006},
    "mute": {},
    "half_open": {},
    "ack_then_silence": {},
    "reject_subscribe": {},
    "refuse_connect": {"status": 503, "times": 2},
    "rest_stale": {"count": 200, "times": 3},
    "rest_fail": {"status": 429, "retry_after_s": 1, "times": 2},
    "rest_delay": {"ms": 300, "times": 2},
    "corrupt_json": {},
    "unknown_fields": {"times": 5},
    "ids_back": {"topic": "book", "count": 1_000},
    "crossed": {"topic": "book"},
    "cut": {},
    "serve_shutdown": {"ms": 300},
}
"""Every switch of the sandbox's crypto venues, with what makes it bite."""

RETRYABLE_REJECT_CODES: Final[Mapping[str, int]] = {"okx": 60014, "deribit": 10028}
RETRYABLE_REJECT_CODE_DEFAULT: Final = -1001
"""Refusals after which a client may ask again: a book refused for good would stay away to the end of the drill."""

NEEDS_RECONNECT: Final = frozenset(
    {"ack_then_silence", "reject_subscribe", "refuse_connect", "rest_stale", "rest_fail", "rest_delay"}
)
"""These wait for a connection, a subscription or a request: a cut brings one about."""


@dataclass(frozen=True, slots=True)
class FaultInjection:
    """Arm these faults, so long after the last."""

    name: str
    venue: str
    wait_ms: int
    faults: tuple[Mapping[str, Any], ...]


def fault_schedule(venues: Sequence[str], seed: int) -> Iterator[FaultInjection]:
    """Draw lies without end; every kind at every venue comes once before any comes again."""
    chance = Random(seed)
    while True:
        pairs = [(kind, venue) for kind in FAULT_PARAMETERS for venue in venues]
        for kind, venue in chance.sample(pairs, len(pairs)):
            yield _injection(kind, venue, chance)


def _injection(kind: str, venue: str, chance: Random) -> FaultInjection:
    fault = {"kind": kind, "venue": venue, "skip": 0, **FAULT_PARAMETERS[kind]}
    if kind == "reject_subscribe":
        fault["code"] = RETRYABLE_REJECT_CODES.get(venue, RETRYABLE_REJECT_CODE_DEFAULT)
    if kind in NEEDS_RECONNECT:
        return FaultInjection(
            kind, venue, chance.randint(*INJECTION_PAUSE_MS), (fault, {"kind": "cut", "venue": venue})
        )
    if kind not in {"cut", "serve_shutdown"}:
        fault["skip"] = chance.randint(0, FRAMES_SKIPPED_MAX)
    return FaultInjection(kind, venue, chance.randint(*INJECTION_PAUSE_MS), (fault,))
