"""Only what risk sealed is opened: nothing forged, altered, expired, for another account or of another version."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.approval import (
    SEAL_BYTES,
    SEAL_KEY_BYTES,
    SEALED_FRAME_BYTES_MAX,
    SEALED_VERSION,
    InvalidApproval,
    SealedControl,
    SealedIntent,
    SealKey,
    approve,
    encode_approval,
    open_approval,
    open_command,
    seal_control,
)
from components.contracts.commands import RejectReason
from components.contracts.errors import ConfigError
from components.contracts.signals import Approved, Signal, propose
from components.contracts.values import AccountId
from tests.support.sample_messages import ACCOUNT, CANCEL, INTENT, TERMS

KEY, OTHER = SealKey(bytes(range(32))), SealKey(bytes(32))
NOW = TERMS.approved_at_ns
FRAME = encode_approval(approve(propose(INTENT), TERMS, KEY))
CONTROL = seal_control(CANCEL, TERMS, KEY)


def fault_of(frame: bytes, *, key: SealKey = KEY, account: AccountId = ACCOUNT, now_ns: int = NOW) -> RejectReason:
    with pytest.raises(InvalidApproval) as refused:
        open_command(frame, key, account, now_ns)
    return refused.value.reject_reason


def sealed(body: bytes, key: SealKey = KEY) -> bytes:
    return body + key.seal(body)


def test_what_was_approved_opens_as_it_was_approved() -> None:
    signal = open_approval(FRAME, KEY, ACCOUNT, NOW)
    assert signal.intent == INTENT
    assert signal.stage == Approved(TERMS, FRAME[-SEAL_BYTES:])
    assert encode_approval(signal) == FRAME


def test_the_same_approval_always_has_the_same_bytes() -> None:
    assert encode_approval(approve(propose(INTENT), TERMS, SealKey(bytes(range(32))))) == FRAME


def test_a_command_is_opened_as_what_it_is() -> None:
    assert isinstance(open_command(FRAME, KEY, ACCOUNT, NOW), Signal)
    assert open_command(CONTROL, KEY, ACCOUNT, NOW) == SealedControl(CANCEL, TERMS)


def test_a_control_is_no_approval() -> None:
    with pytest.raises(InvalidApproval) as refused:
        open_approval(CONTROL, KEY, ACCOUNT, NOW)
    assert refused.value.reject_reason is RejectReason.MALFORMED


def test_a_frame_under_another_key_is_forged() -> None:
    assert fault_of(FRAME, key=OTHER) is RejectReason.FORGED
    assert fault_of(encode_approval(approve(propose(INTENT), TERMS, OTHER))) is RejectReason.FORGED


@pytest.mark.parametrize("frame", [FRAME, CONTROL], ids=["intent", "control"])
def test_every_flipped_byte_is_refused(frame: bytes) -> None:
    for place in range(len(frame)):
        for flip in (0x01, 0x80, 0xFF):
            altered = frame[:place] + bytes((frame[place] ^ flip,)) + frame[place + 1 :]
            assert fault_of(altered) is (RejectReason.VERSION if place == 0 else RejectReason.FORGED)


@pytest.mark.parametrize("frame", [FRAME, CONTROL], ids=["intent", "control"])
def test_every_truncation_and_every_addition_is_refused(frame: bytes) -> None:
    for end in range(len(frame)):
        assert fault_of(frame[:end]) in {RejectReason.FORGED, RejectReason.MALFORMED}
    assert fault_of(frame + b"\x00") is RejectReason.FORGED


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(frame: bytes) -> None:
    assert fault_of(frame) in {RejectReason.FORGED, RejectReason.MALFORMED, RejectReason.VERSION}


@given(st.binary(max_size=300))
def test_nonsense_under_a_right_seal_is_refused_and_never_anything_worse(body: bytes) -> None:
    assert fault_of(sealed(bytes((SEALED_VERSION,)) + body)) is RejectReason.MALFORMED


@pytest.mark.parametrize("bit", range(8))
def test_a_damaged_body_under_a_right_seal_is_refused_or_another_order_entirely(bit: int) -> None:
    body = FRAME[:-SEAL_BYTES]
    for place in range(1, len(body)):
        altered = body[:place] + bytes((body[place] ^ (1 << bit),)) + body[place + 1 :]
        try:
            opened = open_approval(sealed(altered), KEY, ACCOUNT, NOW)
        except InvalidApproval as refused:
            assert refused.reject_reason in {RejectReason.MALFORMED, RejectReason.WRONG_ACCOUNT, RejectReason.EXPIRED}  # noqa: PT017 -- both may be
        else:
            assert (opened.intent, opened.stage.terms) != (INTENT, TERMS)


@pytest.mark.parametrize("late_ns", [0, 1, 10**12])
def test_an_expired_approval_is_refused_and_its_proven_content_kept_for_the_answer(late_ns: int) -> None:
    with pytest.raises(InvalidApproval) as refused:
        open_approval(FRAME, KEY, ACCOUNT, TERMS.expires_at_ns + late_ns)
    assert refused.value.reject_reason is RejectReason.EXPIRED
    assert refused.value.sealed == SealedIntent(INTENT, TERMS)


def test_an_approval_holds_until_the_last_nanosecond() -> None:
    assert open_approval(FRAME, KEY, ACCOUNT, TERMS.expires_at_ns - 1).intent == INTENT


def test_an_approval_for_another_account_is_refused() -> None:
    with pytest.raises(InvalidApproval, match="this is someone-else") as refused:
        open_approval(FRAME, KEY, AccountId("someone-else"), NOW)
    assert refused.value.reject_reason is RejectReason.WRONG_ACCOUNT
    assert refused.value.sealed is None


@pytest.mark.parametrize("version", sorted({0, 2, 255} - {SEALED_VERSION}))
def test_exactly_one_version_is_accepted_even_under_a_right_seal(version: int) -> None:
    body = bytes((version,)) + FRAME[1:-SEAL_BYTES]
    assert fault_of(sealed(body)) is RejectReason.VERSION


def test_a_frame_beyond_the_bound_is_not_even_hashed() -> None:
    assert fault_of(sealed(bytes((SEALED_VERSION,)) + bytes(SEALED_FRAME_BYTES_MAX))) is RejectReason.MALFORMED


def test_terms_cannot_be_exchanged_between_two_approvals() -> None:
    other = msgspec.structs.replace(TERMS, expires_at_ns=TERMS.expires_at_ns + 10**12)
    longer = encode_approval(approve(propose(INTENT), other, KEY))
    assert fault_of(longer[:-SEAL_BYTES] + FRAME[-SEAL_BYTES:]) is RejectReason.FORGED


def test_a_seal_covers_a_control_by_what_it_is() -> None:
    assert fault_of(CONTROL[:-SEAL_BYTES] + FRAME[-SEAL_BYTES:]) is RejectReason.FORGED


def test_an_opened_signal_cannot_be_changed_into_another() -> None:
    signal: Any = open_approval(FRAME, KEY, ACCOUNT, NOW)
    with pytest.raises(ValueError, match="mint"):
        replace(signal, intent=INTENT)


@pytest.mark.parametrize("length", [0, 1, SEAL_KEY_BYTES - 1, SEAL_KEY_BYTES + 1])
def test_a_key_of_another_length_is_no_key(length: int) -> None:
    with pytest.raises(ConfigError, match=f"{length} bytes, must be {SEAL_KEY_BYTES}"):
        SealKey(bytes(length))


def test_a_key_never_shows_itself() -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    assert "0123456789" not in f"{SealKey(secret)!r} {SealKey(secret)}"
