"""Walks a whole log and judges every decision in it again."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import chain

from msgspec import Struct

from components.contracts.decisions import Decision, DecisionMessage, LogOpened
from components.contracts.errors import DamagedData
from components.risk.core.fold import replay
from components.risk.core.judge import is_confirmed
from components.risk.core.state import RiskState, encode_state

Recorded = tuple[int, DecisionMessage]


class Audit(Struct, frozen=True, gc=False):
    """What the walk found; two walks over the same log give the same state hash."""

    records: int
    decisions: int
    allowed: int
    unconfirmed: tuple[int, ...]
    """The decisions that do not follow from the log before them."""
    state_hash: str

    @property
    def ok(self) -> bool:
        """Say whether every decision was confirmed."""
        return not self.unconfirmed


def audit(records: Iterable[Recorded], *, judge_again: bool) -> Audit:
    """Fold the log from its first record on; judging again costs as much as judging did."""
    stream = iter(records)
    state = _before(first := next(stream, None))
    decisions = allowed = 0
    unconfirmed: list[int] = []
    for sequence, record in chain([first] if first else [], stream):
        if isinstance(record, Decision):
            decisions += 1
            allowed += record.allowed
            if judge_again and not is_confirmed(state, record):
                unconfirmed.append(sequence)
        state = replay(state, [(sequence, record)])
    state_hash = blake2b(encode_state(state), digest_size=32).hexdigest()
    return Audit(state.last_sequence, decisions, allowed, tuple(unconfirmed), state_hash)


def _before(first: Recorded | None) -> RiskState:
    match first:
        case (_, LogOpened(account=account)):
            return RiskState(account=account, journal_id="")
        case _:
            raise DamagedData("record 1: a log of risk begins with how it was opened")
