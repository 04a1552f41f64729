"""Walks a whole log and judges every decision in it again."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import chain

from msgspec import Struct

from components.contracts.decisions import Decision, DecisionMessage, RiskStarted
from components.contracts.errors import CorruptData
from components.risk.core.fold import replay
from components.risk.core.judge import is_reproducible
from components.risk.core.state import RiskState, encode_state

SequencedRecord = tuple[int, DecisionMessage]


class LogAudit(Struct, frozen=True, gc=False):
    """What the walk found; two walks over the same log give the same state hash."""

    records: int
    decisions: int
    allowed: int
    not_reproduced: tuple[int, ...]
    """The decisions that do not follow from the log before them."""
    state_hash: str

    @property
    def ok(self) -> bool:
        """Say whether every decision was confirmed."""
        return not self.not_reproduced


def audit_log(records: Iterable[SequencedRecord], *, re_evaluate_decisions: bool) -> LogAudit:
    """Fold the log from its first record on; judging again costs as much as judging did."""
    stream = iter(records)
    state = _initial_state(first := next(stream, None))
    decisions = allowed = 0
    unconfirmed: list[int] = []
    for sequence, record in chain([first] if first else [], stream):
        if isinstance(record, Decision):
            decisions += 1
            allowed += record.allowed
            if re_evaluate_decisions and not is_reproducible(state, record):
                unconfirmed.append(sequence)
        state = replay(state, [(sequence, record)])
    state_hash = blake2b(encode_state(state), digest_size=32).hexdigest()
    return LogAudit(state.last_sequence, decisions, allowed, tuple(unconfirmed), state_hash)


def _initial_state(first: SequencedRecord | None) -> RiskState:
    match first:
        case (_, RiskStarted(account=account)):
            return RiskState(account=account, journal_id="")
        case _:
            raise CorruptData("record 1: a log of risk begins with how it was opened")
