"""Frames are encoded and decoded without loss, and every invalid frame is rejected with its defect."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.contracts.commands import Rejected, RejectReason
from components.contracts.decisions import MalformedRequest
from components.contracts.errors import InvariantError, ProtocolError
from components.contracts.protocol import SCHEMA_VERSION, ComponentHealth, RecoveryBatch, RecoveryReply
from components.contracts.streams import COMMANDS, HEALTH, MARKET, RISK_REQUESTS, STREAMS, StreamClass
from components.contracts.values import CommandId, StreamOffset
from components.runtime.bus.codec import (
    HEADER_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    REQUEST_BYTES_MAX,
    FrameDefect,
    InvalidFrame,
    decode_header,
    decode_recovery_reply,
    decode_recovery_request,
    encode,
    malformed_reply,
    message_decoder,
    reply_decoder,
    typed_decoder,
)
from tests.support.sample_messages import HEADERS, MESSAGES, union_members

PUBLISHED = [stream for stream in STREAMS.values() if stream.stream_class is not StreamClass.SEALED]


PUBLISHED_MESSAGES = [
    (stream, message) for stream in PUBLISHED for message in MESSAGES if type(message) in union_members(stream.messages)
]


NAMES = [f"{stream.name}-{type(message).__name__}" for stream, message in PUBLISHED_MESSAGES]


HEADER = HEADERS["Header of a message"]


@pytest.mark.parametrize(("stream", "message"), PUBLISHED_MESSAGES, ids=NAMES)
def test_a_message_of_a_stream_is_decoded_as_it_was_encoded(stream: Any, message: Any) -> None:
    assert message_decoder(stream)(encode(message)) == message


@pytest.mark.parametrize(
    "message", [one for one in MESSAGES if type(one) in union_members(RISK_REQUESTS.replies)], ids=repr
)
def test_a_reply_is_decoded_as_it_was_encoded(message: Any) -> None:
    assert reply_decoder(RISK_REQUESTS)(encode(message)) == message


def test_a_sealed_frame_passes_undecoded() -> None:
    assert message_decoder(COMMANDS)(b"anything") == b"anything"


@given(st.data())
def test_any_altered_byte_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    stream, message = data.draw(st.sampled_from(PUBLISHED_MESSAGES))
    frame = bytearray(encode(message))
    frame[data.draw(st.integers(0, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(InvalidFrame):
        message_decoder(stream)(bytes(frame))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_and_nothing_else(frame: bytes) -> None:
    for decode in (decode_header, decode_recovery_request, decode_recovery_reply, *map(message_decoder, PUBLISHED)):
        with suppress(InvalidFrame):
            decode(frame)


def test_bad_text_inside_a_tag_is_refused_like_any_other() -> None:
    frame = encode(MESSAGES[0]).replace(b"Quote", b"Quot\xff")
    with pytest.raises(InvalidFrame):
        message_decoder(MARKET)(frame)


def test_a_nest_too_deep_to_walk_is_refused() -> None:
    with pytest.raises(InvalidFrame):
        typed_decoder(ComponentHealth, PAYLOAD_BYTES_MAX)(b"\x91" * 100_000)


def test_a_message_without_its_tag_is_invalid_also_on_a_stream_of_one_type() -> None:
    untagged = msgspec.msgpack.encode(msgspec.to_builtins(ComponentHealth("risk", "1", (), (), 0))[1:])
    with pytest.raises(InvalidFrame):
        message_decoder(HEALTH)(untagged)
    with pytest.raises(InvalidFrame, match="tag"):
        message_decoder(HEALTH)(msgspec.msgpack.encode(["UnusedMember"]))


def test_a_field_too_many_is_refused() -> None:
    with pytest.raises(InvalidFrame):
        message_decoder(MARKET)(msgspec.msgpack.encode([*msgspec.to_builtins(MESSAGES[0]), 1]))


def test_a_message_of_another_stream_is_refused() -> None:
    with pytest.raises(InvalidFrame):
        message_decoder(MARKET)(encode(ComponentHealth("risk", "1", (), (), 0)))


@pytest.mark.parametrize(
    ("stream", "bytes_max"),
    [(MARKET, PAYLOAD_BYTES_MAX), (RISK_REQUESTS, REQUEST_BYTES_MAX), (COMMANDS, REQUEST_BYTES_MAX)],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_frame_above_the_bound_is_refused_unread(stream: Any, bytes_max: int) -> None:
    with pytest.raises(InvalidFrame) as refused:
        message_decoder(stream)(bytes(bytes_max + 1))
    assert refused.value.defect is FrameDefect.OVERSIZE


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_is_read_back(header: Any) -> None:
    assert decode_header(encode(header)) == header


@pytest.mark.parametrize(
    "fields", [[SCHEMA_VERSION + 1], [0, "another", "shape"], [99, 0, "p", "e", 1, 0, 0, 0, b"", ""]]
)
def test_an_unknown_version_is_refused_by_its_name_whatever_else_the_header_holds(fields: list[Any]) -> None:
    with pytest.raises(InvalidFrame, match=f"version {fields[0]}") as refused:
        decode_header(msgspec.msgpack.encode(fields))
    assert refused.value.defect is FrameDefect.VERSION


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x90", b"\x91\xa1x", b"\x9a" + bytes((SCHEMA_VERSION,)) * 10])
def test_a_header_that_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(InvalidFrame) as refused:
        decode_header(frame)
    assert refused.value.defect is FrameDefect.HEADER


def test_a_header_above_the_bound_is_refused_unread() -> None:
    with pytest.raises(InvalidFrame) as refused:
        decode_header(bytes(HEADER_BYTES_MAX + 1))
    assert refused.value.defect is FrameDefect.OVERSIZE


def test_the_largest_entry_of_a_journal_fits_a_part() -> None:
    part = RecoveryBatch(StreamOffset("orders", "f" * 32, 1), ((1, bytes(PAYLOAD_BYTES_MAX)),), complete=True)
    reply: RecoveryReply = decode_recovery_reply(encode(part))
    assert reply == part


def test_a_refused_frame_is_a_broken_contract() -> None:
    assert issubclass(InvalidFrame, ProtocolError)


def test_each_request_stream_has_its_own_reply_to_a_malformed_request() -> None:
    assert malformed_reply(RISK_REQUESTS, "x") == MalformedRequest("x")
    assert malformed_reply(COMMANDS, "x") == Rejected(CommandId(""), RejectReason.MALFORMED, "x")
    with pytest.raises(InvariantError):
        malformed_reply(MARKET, "x")
