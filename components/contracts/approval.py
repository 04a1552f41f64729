"""Sealing and opening of approvals: only risk seals a Signal[Approved], only execution opens one.

Controls use the same seal.
"""

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
"""The only version of sealed frames that is accepted."""
SEAL_BYTES: Final = 32
SEAL_KEY_BYTES: Final = 32
SEALED_FRAME_BYTES_MAX: Final = 64 * 1024


class SealedIntent(Message, frozen=True, tag="SealedIntent"):
    """An intent and its approval terms, as sealed and sent."""

    intent: Intent
    terms: ApprovalTerms


class SealedControl(Message, frozen=True, tag="SealedControl"):
    """A control and its terms, as sealed and sent."""

    control: Control
    terms: ApprovalTerms


Sealed: TypeAlias = SealedIntent | SealedControl
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Sealed)


@final
class SealKey:
    """The secret key that risk and execution share. Its value cannot be read from the object."""

    __slots__ = ("_state",)

    def __init__(self, secret: bytes) -> None:
        """Accept exactly the bytes of the key file."""
        if len(secret) != SEAL_KEY_BYTES:
            raise ConfigError(f"seal key: {len(secret)} bytes, must be {SEAL_KEY_BYTES}")
        self._state = blake2b(key=secret, digest_size=SEAL_BYTES, person=b"xtrader-seal")

    def seal(self, body: bytes) -> bytes:
        """Return the authentication code of a body. Copying a keyed state avoids hashing the key again."""
        state = self._state.copy()
        state.update(body)
        return state.digest()


class InvalidApproval(ProtocolError):
    """A sealed frame was rejected. `sealed` is set only if the seal was authenticated."""

    def __init__(self, reject_reason: RejectReason, detail: str, sealed: Sealed | None = None) -> None:
        """Keep the reason for the counters and the authenticated content for the reply."""
        super().__init__(f"sealed frame rejected: {reject_reason}: {detail}")
        self.reject_reason = reject_reason
        self.detail = detail
        self.sealed = sealed


def approve(signal: Signal[Unchecked], terms: ApprovalTerms, key: SealKey) -> Signal[Approved]:
    """Return the approved signal. The seal covers intent and terms byte for byte."""
    body = _body(SealedIntent(signal.intent, terms))
    return Signal(intent=signal.intent, stage=Approved(terms, key.seal(body)), mint=MINT)


def encode_approval(signal: Signal[Approved]) -> bytes:
    """Return the frame of an approval: version, body, seal."""
    return _body(SealedIntent(signal.intent, signal.stage.terms)) + signal.stage.seal


def open_approval(frame: bytes, key: SealKey, account: AccountId, now_ns: int) -> Signal[Approved]:
    """Authenticate an approval and return its signal, or raise InvalidApproval."""
    sealed = _open(frame, key, account, now_ns)
    if not isinstance(sealed, SealedIntent):
        raise InvalidApproval(RejectReason.MALFORMED, "a control where an intent belongs", sealed)
    return Signal(intent=sealed.intent, stage=Approved(sealed.terms, frame[-SEAL_BYTES:]), mint=MINT)


def seal_control(control: Control, terms: ApprovalTerms, key: SealKey) -> bytes:
    """Return the frame of a control, under the same seal as an approval."""
    body = _body(SealedControl(control, terms))
    return body + key.seal(body)


def open_command(frame: bytes, key: SealKey, account: AccountId, now_ns: int) -> Signal[Approved] | SealedControl:
    """Authenticate a command of risk.

    Return the approved signal or the control with its terms, or raise InvalidApproval.
    """
    sealed = _open(frame, key, account, now_ns)
    match sealed:
        case SealedIntent(intent, terms):
            return Signal(intent=intent, stage=Approved(terms, frame[-SEAL_BYTES:]), mint=MINT)
        case SealedControl():
            return sealed


def _body(sealed: Sealed) -> bytes:
    return bytes((SEALED_VERSION,)) + _encoder.encode(sealed)


def _open(frame: bytes, key: SealKey, account: AccountId, now_ns: int) -> Sealed:
    if not SEAL_BYTES + 1 < len(frame) <= SEALED_FRAME_BYTES_MAX:
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
