"""Bytes to messages and back: the only file that decodes, beside contracts/approval.py."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, final

import msgspec

from components.contracts.commands import Rejected, RejectReason
from components.contracts.decisions import MalformedRequest
from components.contracts.errors import InvariantError, ProtocolError
from components.contracts.protocol import (
    SCHEMA_VERSION,
    SCHEMA_VERSIONS_READ,
    FrameKind,
    Header,
    Message,
    RecoveryReply,
    RecoveryRequest,
)
from components.contracts.streams import STREAMS, Stream, StreamClass
from components.contracts.values import CommandId
from components.runtime.clock import Clock

HEADER_BYTES_MAX: Final = 1024
REQUEST_BYTES_MAX: Final = 64 * 1024
"""Far above any request or sealed frame; a peer cannot make a server hold more."""
PAYLOAD_BYTES_MAX: Final = 1 << 20
"""The same as one journal entry, which is the largest thing ever published."""
RECOVERY_BATCH_BYTES_MAX: Final = 2 * PAYLOAD_BYTES_MAX
"""One largest entry always fits a part, with its wrapping."""
Decode = Callable[[bytes], Any]


class FrameDefect(StrEnum):
    """What was wrong with a frame."""

    SHAPE = "shape"
    OVERSIZE = "oversize"
    HEADER = "header"
    VERSION = "version"
    TOPIC = "topic"
    PRODUCER = "producer"
    PAYLOAD = "payload"


class InvalidFrame(ProtocolError):
    """A frame is not what the table of streams says; the flaw is for counting, the text for a person."""

    def __init__(self, defect: FrameDefect, detail: str) -> None:
        super().__init__(f"frame refused: {defect}: {detail}")
        self.defect = defect
        self.detail = detail


@final
class _UnusedMember(Message, frozen=True, tag="UnusedMember"):
    """The second member that makes a union of one: only a union insists on the tag."""


_encoder: Final = msgspec.msgpack.Encoder()
_header_decoder: Final = msgspec.msgpack.Decoder(Header)
encode: Final[Callable[[Any], bytes]] = _encoder.encode
"""Write a message of a stream, a header, or a request; the same message always gives the same bytes."""


def decode_header(frame: bytes) -> Header:
    """Read the second frame; a version that is not read here is named, whatever else it holds."""
    if len(frame) > HEADER_BYTES_MAX:
        raise InvalidFrame(FrameDefect.OVERSIZE, f"a header of {len(frame)} bytes, at most {HEADER_BYTES_MAX}")
    try:
        header = _header_decoder.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable_header(frame, error) from error
    if header.schema not in SCHEMA_VERSIONS_READ:
        raise _unsupported_version(header.schema)
    return header


def message_decoder(stream: Stream) -> Decode:
    """Give the decoder of what is said on a stream, made once; sealed frames are left to their own door."""
    return _DECODERS[stream.name]


def reply_decoder(stream: Stream) -> Decode:
    """Give the decoder of the answers on a request stream."""
    return _REPLY_DECODERS[stream.name]


def typed_decoder(kinds: Any, bytes_max: int) -> Decode:  # noqa: ANN401 -- a union of types has no narrower type
    """Make a decoder that turns whatever is wrong with the bytes into a FrameRefused."""
    decode = msgspec.msgpack.Decoder(kinds | _UnusedMember).decode

    def decoded(frame: bytes) -> Any:  # noqa: ANN401 -- as wide as the union
        if len(frame) > bytes_max:
            raise InvalidFrame(FrameDefect.OVERSIZE, f"{len(frame)} bytes, at most {bytes_max}")
        try:
            body = decode(frame)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise InvalidFrame(FrameDefect.PAYLOAD, str(error)) from error
        if type(body) is _UnusedMember:
            raise InvalidFrame(FrameDefect.PAYLOAD, "a tag that no message has")
        return body

    return decoded


def malformed_reply(stream: Stream, detail: str) -> Any:  # noqa: ANN401 -- each stream has its own word for it
    """Say to whoever asked that the request was none."""
    match stream.stream_class:
        case StreamClass.REQUEST:
            return MalformedRequest(detail)
        case StreamClass.SEALED:
            return Rejected(CommandId(""), RejectReason.MALFORMED, detail)
        case StreamClass.STATE | StreamClass.EVENTS:
            raise InvariantError(f"nobody asks on {stream.name}")


def _sealed(frame: bytes) -> bytes:
    if len(frame) > REQUEST_BYTES_MAX:
        raise InvalidFrame(FrameDefect.OVERSIZE, f"{len(frame)} bytes, at most {REQUEST_BYTES_MAX}")
    return frame


def _unreadable_header(frame: bytes, error: Exception) -> InvalidFrame:
    try:
        fields = msgspec.msgpack.decode(frame, type=list[Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return InvalidFrame(FrameDefect.HEADER, str(error))
    if fields and type(fields[0]) is int and fields[0] not in SCHEMA_VERSIONS_READ:
        return _unsupported_version(fields[0])
    return InvalidFrame(FrameDefect.HEADER, str(error))


def _unsupported_version(version: int) -> InvalidFrame:
    return InvalidFrame(FrameDefect.VERSION, f"schema version {version}, only {sorted(SCHEMA_VERSIONS_READ)} are read")


def _decoder(stream: Stream) -> Decode:
    match stream.stream_class:
        case StreamClass.SEALED:
            return _sealed
        case StreamClass.REQUEST:
            return typed_decoder(stream.messages, REQUEST_BYTES_MAX)
        case StreamClass.STATE | StreamClass.EVENTS:
            return typed_decoder(stream.messages, PAYLOAD_BYTES_MAX)


_DECODERS: Final = {stream.name: _decoder(stream) for stream in STREAMS.values()}
_REPLY_DECODERS: Final = {
    stream.name: typed_decoder(stream.replies, PAYLOAD_BYTES_MAX)
    for stream in STREAMS.values()
    if stream.replies is not None
}
decode_recovery_request: Final[Callable[[bytes], RecoveryRequest]] = typed_decoder(RecoveryRequest, REQUEST_BYTES_MAX)
decode_recovery_reply: Final[Callable[[bytes], RecoveryReply]] = typed_decoder(RecoveryReply, RECOVERY_BATCH_BYTES_MAX)
_MESSAGE: Final = FrameKind.MESSAGE


@dataclass(frozen=True, slots=True)
class Producer:
    """Who speaks: the component, this run of it, and its clock."""

    component: str
    run: str
    clock: Clock

    def header(self, sequence: int = 0) -> bytes:
        """Write the header of a frame that stands in no stream: a request or an answer."""
        now_ns = self.clock.now_ns()
        return encode(Header(SCHEMA_VERSION, _MESSAGE, self.component, self.run, sequence, 0, 0, now_ns, b"", self.run))


def new_run_id() -> str:
    """Name this start of the process like no other start."""
    return secrets.token_hex(6)


RECOVERY_TOPIC: Final = b"side"
"""The topic of whatever is said at the side."""
