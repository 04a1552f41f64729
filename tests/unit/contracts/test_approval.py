"""What risk stamps opens, and nothing else: not forged, altered, expired, for another account or of another version."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.approval import (
    FRAME_BYTES_MAX,
    KEY_BYTES,
    SEAL_BYTES,
    SEALED_VERSION,
    ApprovalRefused,
    SealedControl,
    SealedIntent,
    SealKey,
    approve,
    open_command,
    open_frame,
    seal_control,
    write_frame,
)
from components.contracts.commands import Fault
from components.contracts.errors import ConfigError
from components.contracts.signals import Approved, Signal, propose
from components.contracts.values import AccountId
from tests.support.messages import ACCOUNT, CANCEL, INTENT, TERMS

KEY, OTHER = SealKey(bytes(range(32))), SealKey(bytes(32))
NOW = TERMS.approved_at_ns
FRAME = write_frame(approve(propose(INTENT), TERMS, KEY))
CONTROL = seal_control(CANCEL, TERMS, KEY)


def fault_of(frame: bytes, *, key: SealKey = KEY, account: AccountId = ACCOUNT, now_ns: int = NOW) -> Fault:
    with pytest.raises(ApprovalRefused) as refused:
        open_command(frame, key, account, now_ns)
    return refused.value.fault


def sealed(body: bytes, key: SealKey = KEY) -> bytes:
    return body + key.seal(body)


def test_what_was_approved_opens_as_it_was_approved() -> None:
    signal = open_frame(FRAME, KEY, ACCOUNT, NOW)
    assert signal.intent == INTENT
    assert signal.stage == Approved(TERMS, FRAME[-SEAL_BYTES:])
    assert write_frame(signal) == FRAME


def test_the_same_approval_always_has_the_same_bytes() -> None:
    assert write_frame(approve(propose(INTENT), TERMS, SealKey(bytes(range(32))))) == FRAME


def test_a_command_is_opened_as_what_it_is() -> None:
    assert isinstance(open_command(FRAME, KEY, ACCOUNT, NOW), Signal)
    assert open_command(CONTROL, KEY, ACCOUNT, NOW) == SealedControl(CANCEL, TERMS)


def test_a_control_is_no_approval() -> None:
    with pytest.raises(ApprovalRefused) as refused:
        open_frame(CONTROL, KEY, ACCOUNT, NOW)
    assert refused.value.fault is Fault.MALFORMED


def test_a_frame_under_another_key_is_forged() -> None:
    assert fault_of(FRAME, key=OTHER) is Fault.FORGED
    assert fault_of(write_frame(approve(propose(INTENT), TERMS, OTHER))) is Fault.FORGED


@pytest.mark.parametrize("frame", [FRAME, CONTROL], ids=["intent", "control"])
def test_every_flipped_byte_is_refused(frame: bytes) -> None:
    for place in range(len(frame)):
        for flip in (0x01, 0x80, 0xFF):
            altered = frame[:place] + bytes((frame[place] ^ flip,)) + frame[place + 1 :]
            assert fault_of(altered) is (Fault.VERSION if place == 0 else Fault.FORGED)


@pytest.mark.parametrize("frame", [FRAME, CONTROL], ids=["intent", "control"])
def test_every_truncation_and_every_addition_is_refused(frame: bytes) -> None:
    for end in range(len(frame)):
        assert fault_of(frame[:end]) in {Fault.FORGED, Fault.MALFORMED}
    assert fault_of(frame + b"\x00") is Fault.FORGED


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(frame: bytes) -> None:
    assert fault_of(frame) in {Fault.FORGED, Fault.MALFORMED, Fault.VERSION}


@given(st.binary(max_size=300))
def test_nonsense_under_a_right_seal_is_refused_and_never_anything_worse(body: bytes) -> None:
    assert fault_of(sealed(bytes((SEALED_VERSION,)) + body)) is Fault.MALFORMED


@pytest.mark.parametrize("bit", range(8))
def test_a_damaged_body_under_a_right_seal_is_refused_or_another_order_entirely(bit: int) -> None:
    body = FRAME[:-SEAL_BYTES]
    for place in range(1, len(body)):
        altered = body[:place] + bytes((body[place] ^ (1 << bit),)) + body[place + 1 :]
        try:
            opened = open_frame(sealed(altered), KEY, ACCOUNT, NOW)
        except ApprovalRefused as refused:
            assert refused.fault in {Fault.MALFORMED, Fault.WRONG_ACCOUNT, Fault.EXPIRED}  # noqa: PT017 -- both may be
        else:
            assert (opened.intent, opened.stage.terms) != (INTENT, TERMS)


@pytest.mark.parametrize("late_ns", [0, 1, 10**12])
def test_an_expired_approval_is_refused_and_its_proven_content_kept_for_the_answer(late_ns: int) -> None:
    with pytest.raises(ApprovalRefused) as refused:
        open_frame(FRAME, KEY, ACCOUNT, TERMS.expires_at_ns + late_ns)
    assert refused.value.fault is Fault.EXPIRED
    assert refused.value.sealed == SealedIntent(INTENT, TERMS)


def test_an_approval_holds_until_the_last_nanosecond() -> None:
    assert open_frame(FRAME, KEY, ACCOUNT, TERMS.expires_at_ns - 1).intent == INTENT


def test_an_approval_for_another_account_is_refused() -> None:
    with pytest.raises(ApprovalRefused, match="this is someone-else") as refused:
        open_frame(FRAME, KEY, AccountId("someone-else"), NOW)
    assert refused.value.fault is Fault.WRONG_ACCOUNT
    assert refused.value.sealed is None


@pytest.mark.parametrize("version", sorted({0, 2, 255} - {SEALED_VERSION}))
def test_exactly_one_version_is_accepted_even_under_a_right_seal(version: int) -> None:
    body = bytes((version,)) + FRAME[1:-SEAL_BYTES]
    assert fault_of(sealed(body)) is Fault.VERSION


def test_a_frame_beyond_the_bound_is_not_even_hashed() -> None:
    assert fault_of(sealed(bytes((SEALED_VERSION,)) + bytes(FRAME_BYTES_MAX))) is Fault.MALFORMED


def test_terms_cannot_be_exchanged_between_two_approvals() -> None:
    other = msgspec.structs.replace(TERMS, expires_at_ns=TERMS.expires_at_ns + 10**12)
    longer = write_frame(approve(propose(INTENT), other, KEY))
    assert fault_of(longer[:-SEAL_BYTES] + FRAME[-SEAL_BYTES:]) is Fault.FORGED


def test_a_seal_covers_a_control_by_what_it_is() -> None:
    assert fault_of(CONTROL[:-SEAL_BYTES] + FRAME[-SEAL_BYTES:]) is Fault.FORGED


def test_an_opened_signal_cannot_be_changed_into_another() -> None:
    signal: Any = open_frame(FRAME, KEY, ACCOUNT, NOW)
    with pytest.raises(ValueError, match="mint"):
        replace(signal, intent=INTENT)


@pytest.mark.parametrize("length", [0, 1, KEY_BYTES - 1, KEY_BYTES + 1])
def test_a_key_of_another_length_is_no_key(length: int) -> None:
    with pytest.raises(ConfigError, match=f"{length} bytes, must be {KEY_BYTES}"):
        SealKey(bytes(length))


def test_a_key_never_shows_itself() -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    assert "0123456789" not in f"{SealKey(secret)!r} {SealKey(secret)}"
