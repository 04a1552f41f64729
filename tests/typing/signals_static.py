"""Lines that must not type-check: every way we know to get a Signal[Approved] without risk's yes.

Never run, only checked by mypy (test_static.py). An unused ignore is an error: the day a hole opens, it becomes one.
"""

from dataclasses import replace
from typing import assert_type

from components.contracts.approval import SealKey, approve, encode_approval, open_approval
from components.contracts.signals import ApprovalTerms, Approved, Intent, Signal, Unchecked, propose
from components.contracts.values import AccountId


def the_two_doors_are_the_only_way(
    intent: Intent, terms: ApprovalTerms, key: SealKey, frame: bytes, account: AccountId
) -> None:
    """Hold what does type-check: propose, approve, open."""
    assert_type(propose(intent), Signal[Unchecked])
    assert_type(approve(propose(intent), terms, key), Signal[Approved])
    assert_type(open_approval(frame, key, account, 0), Signal[Approved])
    encode_approval(open_approval(frame, key, account, 0))


def made_by_hand(intent: Intent, terms: ApprovalTerms) -> None:
    """Refuse a constructor without the mint, and anything that is not the mint."""
    Signal(intent=intent, stage=Approved(terms, b""))  # type: ignore[call-arg]
    Signal(intent=intent, stage=Approved(terms, b""), mint=None)  # type: ignore[arg-type]
    Signal(intent=intent, stage=Approved(terms, b""), mint=object())  # type: ignore[arg-type]
    Signal(intent, Approved(terms, b""))  # type: ignore[call-arg]


def forged_by_name(intent: Intent, terms: ApprovalTerms) -> None:
    """Refuse to call something approved that is not."""
    named: Signal[Approved] = propose(intent)  # type: ignore[assignment]
    of_thin_air: Signal[Approved] = Signal(intent=intent, stage=Unchecked(), mint=None)  # type: ignore[arg-type]
    alias = Signal[Approved]
    alias(intent=intent, stage=Approved(terms, b""))  # type: ignore[call-arg]
    alias(intent=intent, stage=Unchecked(), mint=None)  # type: ignore[arg-type]
    encode_approval(named)
    encode_approval(of_thin_air)


def forged_by_inference(intent: Intent) -> None:
    """Refuse to infer the wanted stage from where the signal goes."""
    encode_approval(propose(intent))  # type: ignore[arg-type]
    encode_approval(Signal(intent=intent, stage=Unchecked(), mint=None))  # type: ignore[arg-type]


def changed_afterwards(approved: Signal[Approved], other: Intent) -> None:
    """Refuse to change what was approved, in place or in a copy."""
    approved.intent = other  # type: ignore[misc]
    approved.stage.seal = b""  # type: ignore[misc]
    replace(approved, intent=other)  # type: ignore[call-arg]
    replace(approved, intent=other, mint=None)  # type: ignore[arg-type]


def promoted_in_a_copy(unchecked: Signal[Unchecked], terms: ApprovalTerms) -> None:
    """Refuse to put a receipt into a copy of what was only proposed."""
    replace(unchecked, stage=Approved(terms, b""))  # type: ignore[arg-type,call-arg]


def approved_twice(approved: Signal[Approved], terms: ApprovalTerms, key: SealKey) -> None:
    """Refuse to stamp what is stamped."""
    approve(approved, terms, key)  # type: ignore[arg-type]


def of_another_stage(intent: Intent) -> None:
    """Refuse any stage but the two."""
    Signal[str](intent=intent, stage="approved", mint=None)  # type: ignore[type-var,arg-type]


def by_a_subclass() -> None:
    """Refuse to widen what is final."""

    class Generous(Signal[Approved]):  # type: ignore[misc]
        pass

    class Forever(Approved):  # type: ignore[misc]
        pass


def with_a_key_of_text(intent: Intent, terms: ApprovalTerms) -> None:
    """Refuse bytes or text where the key belongs."""
    approve(propose(intent), terms, bytes(32))  # type: ignore[arg-type]
