"""Encoding and decoding of frames: headers, messages, requests, replies.

Every size is bounded, and every defect of a frame is reported as InvalidFrame. Only `contracts/approval.py` decodes
elsewhere.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, final

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
"""Far above any request or sealed frame. It bounds the memory that one peer can make a server use."""
PAYLOAD_BYTES_MAX: Final = 1 << 20
"""The size of one journal entry, which is the largest message published."""
RECOVERY_BATCH_BYTES_MAX: Final = 2 * PAYLOAD_BYTES_MAX
"""The largest entry always fits into a batch, including the encoding overhead."""
MESSAGE_KIND: Final = FrameKind.MESSAGE
"""A constant, because looking up an enum member for each frame is slow."""
RECOVERY_TOPIC: Final = b"recovery"
"""The topic of all frames on recovery sockets."""
Decoder: TypeAlias = Callable[[bytes], Any]


class FrameDefect(StrEnum):
    """What is wrong with a frame."""

    SHAPE = "shape"
    OVERSIZE = "oversize"
    HEADER = "header"
    VERSION = "version"
    TOPIC = "topic"
    PRODUCER = "producer"
    PAYLOAD = "payload"


class InvalidFrame(ProtocolError):
    """A frame does not conform to the table of streams.

    `defect` is the metric label, `detail` the text for a person.
    """

    def __init__(self, defect: FrameDefect, detail: str) -> None:
        super().__init__(f"invalid frame: {defect}: {detail}")
        self.defect = defect
        self.detail = detail


@final
class _UnusedMember(Message, frozen=True, tag="UnusedMember"):
    """The second member of a union that otherwise has one: msgspec requires the tag only in unions."""


_encoder: Final = msgspec.msgpack.Encoder()
_header_decoder: Final = msgspec.msgpack.Decoder(Header)
encode: Final[Callable[[Any], bytes]] = _encoder.encode
"""Encode a message, a header or a request. Equal messages have equal bytes."""


def decode_header(frame: bytes) -> Header:
    """Decode the second frame of a message.

    A schema version that is not supported is reported as such, whatever else the header holds.
    """
    if len(frame) > HEADER_BYTES_MAX:
        raise InvalidFrame(FrameDefect.OVERSIZE, f"a header of {len(frame)} bytes, at most {HEADER_BYTES_MAX}")
    try:
        header = _header_decoder.decode(frame)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _unreadable_header(frame, error) from error
    if header.schema not in SCHEMA_VERSIONS_READ:
        raise _unsupported_version(header.schema)
    return header


def message_decoder(stream: Stream) -> Decoder:
    """Return the decoder of a stream's messages. Sealed frames pass undecoded; `contracts.approval` opens them."""
    return _DECODERS[stream.name]


def reply_decoder(stream: Stream) -> Decoder:
    """Return the decoder of a request stream's replies."""
    return _REPLY_DECODERS[stream.name]


def typed_decoder(kinds: Any, bytes_max: int) -> Decoder:  # noqa: ANN401 -- a union of types has no narrower type
    """Return a decoder that reports every kind of invalid bytes as InvalidFrame."""
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


def malformed_reply(stream: Stream, detail: str) -> Any:  # noqa: ANN401 -- the type depends on the stream
    """Return the reply to bytes that are not a request of this stream."""
    match stream.stream_class:
        case StreamClass.REQUEST:
            return MalformedRequest(detail)
        case StreamClass.SEALED:
            return Rejected(CommandId(""), RejectReason.MALFORMED, detail)
        case StreamClass.STATE | StreamClass.EVENTS:
            raise InvariantError(f"{stream.name} carries no requests")


@dataclass(frozen=True, slots=True)
class Producer:
    """The producer named in a frame header: the component, this run of it, and its clock."""

    component: str
    run: str
    clock: Clock

    def header(self, sequence: int = 0) -> bytes:
        """Encode the header of a frame that belongs to no published stream: a request or a reply."""
        now_ns = self.clock.now_ns()
        return encode(
            Header(SCHEMA_VERSION, MESSAGE_KIND, self.component, self.run, sequence, 0, 0, now_ns, b"", self.run)
        )


def new_run_id() -> str:
    """Return a random id for this start of the process."""
    return secrets.token_hex(6)


def _check_sealed(frame: bytes) -> bytes:
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


def _decoder(stream: Stream) -> Decoder:
    match stream.stream_class:
        case StreamClass.SEALED:
            return _check_sealed
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
