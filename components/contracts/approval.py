"""The two doors of Signal[Approved] (only risk stamps, only execution opens), and the same seal for controls."""

import hmac
from hashlib import blake2b
from typing import Final, TypeAlias, final

import msgspec

from components.contracts._mint import MINT
from components.contracts.commands import Control, RejectReason
from components.contracts.errors import ConfigError, ProtocolError
from components.contracts.protocol import Message
from components.contracts.signals import ApprovalTerms, Approved, Intent, Signal, Unchecked
from components.contracts.values import AccountId

SEALED_VERSION: Final = 1
"""Readers of sealed frames accept exactly this version."""

SEAL_BYTES: Final = 32
KEY_BYTES: Final = 32
FRAME_BYTES_MAX: Final = 64 * 1024


class SealedIntent(Message, frozen=True, tag="SealedIntent"):
    """An order and the terms it was approved under, as they travel under the seal."""

    intent: Intent
    terms: ApprovalTerms


class SealedControl(Message, frozen=True, tag="SealedControl"):
    """A control and the terms it was given under, as they travel under the seal."""

    control: Control
    terms: ApprovalTerms


Sealed: TypeAlias = SealedIntent | SealedControl

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Sealed)


@final
class SealKey:
    """The secret that risk and execution share; it never shows itself."""

    __slots__ = ("_state",)

    def __init__(self, secret: bytes) -> None:
        """Take exactly the bytes of the key file."""
        if len(secret) != KEY_BYTES:
            raise ConfigError(f"seal key: {len(secret)} bytes, must be {KEY_BYTES}")
        self._state = blake2b(key=secret, digest_size=SEAL_BYTES, person=b"xtrader-seal")

    def seal(self, body: bytes) -> bytes:
        """Authenticate a body; a copied keyed state saves hashing the key again."""
        state = self._state.copy()
        state.update(body)
        return state.digest()


class InvalidApproval(ProtocolError):
    """A sealed frame was not opened; `sealed` is there only when the seal was proven."""

    def __init__(self, reject_reason: RejectReason, detail: str, sealed: Sealed | None = None) -> None:
        """Keep the fault for counting and the proven content for answering."""
        super().__init__(f"sealed frame refused: {reject_reason}: {detail}")
        self.reject_reason = reject_reason
        self.detail = detail
        self.sealed = sealed


def approve(signal: Signal[Unchecked], terms: ApprovalTerms, key: SealKey) -> Signal[Approved]:
    """Stamp a judged signal; the seal covers the order and the terms byte for byte."""
    body = _body(SealedIntent(signal.intent, terms))
    return Signal(intent=signal.intent, stage=Approved(terms, key.seal(body)), mint=MINT)


def encode_approval(signal: Signal[Approved]) -> bytes:
    """Write an approval as it travels: version, body, seal."""
    return _body(SealedIntent(signal.intent, signal.stage.terms)) + signal.stage.seal


def open_approval(frame: bytes, key: SealKey, account: AccountId, now_ns: int) -> Signal[Approved]:
    """Prove an approval in this process, or raise ApprovalRefused."""
    sealed = _open(frame, key, account, now_ns)
    if not isinstance(sealed, SealedIntent):
        raise InvalidApproval(RejectReason.MALFORMED, "a control where an intent belongs", sealed)
    return Signal(intent=sealed.intent, stage=Approved(sealed.terms, frame[-SEAL_BYTES:]), mint=MINT)


def seal_control(control: Control, terms: ApprovalTerms, key: SealKey) -> bytes:
    """Write a control as it travels, under the same seal as an order."""
    body = _body(SealedControl(control, terms))
    return body + key.seal(body)


def open_command(frame: bytes, key: SealKey, account: AccountId, now_ns: int) -> Signal[Approved] | SealedControl:
    """Open whatever risk sent: an approved signal, or a control with its terms; or raise ApprovalRefused."""
    sealed = _open(frame, key, account, now_ns)
    match sealed:
        case SealedIntent(intent, terms):
            return Signal(intent=intent, stage=Approved(terms, frame[-SEAL_BYTES:]), mint=MINT)
        case SealedControl():
            return sealed


def _body(sealed: Sealed) -> bytes:
    return bytes((SEALED_VERSION,)) + _encoder.encode(sealed)


def _open(frame: bytes, key: SealKey, account: AccountId, now_ns: int) -> Sealed:
    if not SEAL_BYTES + 1 < len(frame) <= FRAME_BYTES_MAX:
        raise InvalidApproval(RejectReason.MALFORMED, f"{len(frame)} bytes")
    body, seal = frame[:-SEAL_BYTES], frame[-SEAL_BYTES:]
    if body[0] != SEALED_VERSION:
        raise InvalidApproval(RejectReason.VERSION, f"version {body[0]}, only {SEALED_VERSION} is accepted")
    if not hmac.compare_digest(seal, key.seal(body)):
        raise InvalidApproval(RejectReason.FORGED, "the seal does not match")
    try:
        sealed: Sealed = _decoder.decode(memoryview(body)[1:])
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidApproval(RejectReason.MALFORMED, str(error)) from error
    if sealed.terms.account != account:
        raise InvalidApproval(RejectReason.WRONG_ACCOUNT, f"for {sealed.terms.account}, this is {account}")
    if now_ns >= sealed.terms.expires_at_ns:
        raise InvalidApproval(RejectReason.EXPIRED, f"{(now_ns - sealed.terms.expires_at_ns) / 1e6:.1f} ms ago", sealed)
    return sealed
