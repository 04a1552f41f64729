"""Lines that must not type-check: every known way to get a Signal[Approved] without an approval by risk.

Never run, only checked by mypy (test_static.py). An unused ignore is an error: a line that type-checks one day becomes
one.
"""

from dataclasses import replace
from typing import assert_type

from components.contracts.approval import SealKey, approve, encode_approval, open_approval
from components.contracts.signals import ApprovalTerms, Approved, Intent, Signal, Unchecked, propose
from components.contracts.values import AccountId


def approve_and_open_frame_are_the_only_ways(
    intent: Intent, terms: ApprovalTerms, key: SealKey, frame: bytes, account: AccountId
) -> None:
    """Keep what does type-check: propose, approve, open."""
    assert_type(propose(intent), Signal[Unchecked])
    assert_type(approve(propose(intent), terms, key), Signal[Approved])
    assert_type(open_approval(frame, key, account, 0), Signal[Approved])
    encode_approval(open_approval(frame, key, account, 0))


def made_by_hand(intent: Intent, terms: ApprovalTerms) -> None:
    """Reject a constructor without the token, and anything that is not the token."""
    Signal(intent=intent, stage=Approved(terms, b""))  # type: ignore[call-arg]
    Signal(intent=intent, stage=Approved(terms, b""), mint=None)  # type: ignore[arg-type]
    Signal(intent=intent, stage=Approved(terms, b""), mint=object())  # type: ignore[arg-type]
    Signal(intent, Approved(terms, b""))  # type: ignore[call-arg]


def forged_by_name(intent: Intent, terms: ApprovalTerms) -> None:
    """Reject an annotation as approved."""
    named: Signal[Approved] = propose(intent)  # type: ignore[assignment]
    of_thin_air: Signal[Approved] = Signal(intent=intent, stage=Unchecked(), mint=None)  # type: ignore[arg-type]
    alias = Signal[Approved]
    alias(intent=intent, stage=Approved(terms, b""))  # type: ignore[call-arg]
    alias(intent=intent, stage=Unchecked(), mint=None)  # type: ignore[arg-type]
    encode_approval(named)
    encode_approval(of_thin_air)


def forged_by_inference(intent: Intent) -> None:
    """Reject the inference of the stage from where the signal is used."""
    encode_approval(propose(intent))  # type: ignore[arg-type]
    encode_approval(Signal(intent=intent, stage=Unchecked(), mint=None))  # type: ignore[arg-type]


def changed_afterwards(approved: Signal[Approved], other: Intent) -> None:
    """Reject a change of what was approved, in place or in a copy."""
    approved.intent = other  # type: ignore[misc]
    approved.stage.seal = b""  # type: ignore[misc]
    replace(approved, intent=other)  # type: ignore[call-arg]
    replace(approved, intent=other, mint=None)  # type: ignore[arg-type]


def promoted_in_a_copy(unchecked: Signal[Unchecked], terms: ApprovalTerms) -> None:
    """Reject an approval that is put into a copy of a proposed signal."""
    replace(unchecked, stage=Approved(terms, b""))  # type: ignore[arg-type,call-arg]


def approved_twice(approved: Signal[Approved], terms: ApprovalTerms, key: SealKey) -> None:
    """Reject the approval of an approved signal."""
    approve(approved, terms, key)  # type: ignore[arg-type]


def of_another_stage(intent: Intent) -> None:
    """Reject any stage but the two."""
    Signal[str](intent=intent, stage="approved", mint=None)  # type: ignore[type-var,arg-type]


def by_a_subclass() -> None:
    """Reject a subclass of what is final."""

    class Generous(Signal[Approved]):  # type: ignore[misc]
        pass

    class Forever(Approved):  # type: ignore[misc]
        pass


def with_a_key_of_text(intent: Intent, terms: ApprovalTerms) -> None:
    """Reject bytes or text in place of the key."""
    approve(propose(intent), terms, bytes(32))  # type: ignore[arg-type]
