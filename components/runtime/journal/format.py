"""The byte format of the journal: segment headers, frames, records (see docs/adr/0006-journal-format.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from google_crc32c import value as crc32c

from components.contracts.errors import ConfigError, CorruptData, InvariantError

Entry: TypeAlias = tuple[int, bytes]  # at_ns, payload: what a writer appends
UnpackedRecord: TypeAlias = tuple[int, int, bytes, bytes]  # sequence, at_ns, payload, digest: what a reader returns
FORMAT_VERSION: Final = 2
"""Version 1 had the same layout, but its records carried other message tags."""
SEGMENT_MAGIC: Final = b"XTRLOG\r\n"  # the line end reveals a file that was copied as text
FRAME_MAGIC: Final = b"\xf7XF\x96"
DIGEST_BYTES: Final = 32
HEADER_BYTES_MAX: Final = 1024
PAYLOAD_BYTES_MAX: Final = 1 << 20  # far above any message; a larger one is a bug
FRAME_BYTES_MAX: Final = 1 << 26
# Little-endian throughout. A checksum covers everything after it.
_SEAL: Final = Struct("<8sI")  # magic, CRC-32C
_HEADER: Final = Struct("<HH16sqQ32sBB")  # length, version, journal id, created, first sequence, previous digest, names
_FRAME: Final = Struct("<4sIHIIQQ")  # magic, CRC-32C, version, count, body length, offset, first sequence
_RECORD: Final = Struct("<IQq32s")  # payload length, sequence, at, previous digest
_FRAME_SEAL_BYTES: Final = 8
FRAME_HEADER_BYTES: Final = _FRAME.size
RECORD_HEADER_BYTES: Final = _RECORD.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """The header of a segment file: the identity of the journal, and the position of the segment in it."""

    journal_id: str
    owner: str
    account: str
    created_at_ns: int
    first_sequence: int
    previous: bytes


class FrameHead(NamedTuple):
    """The fixed first bytes of a frame. Until its checksum is verified it is used only to skip the frame."""

    crc: int
    records: int
    body_bytes: int
    first_sequence: int


class Frame(NamedTuple):
    """A frame with a valid checksum: the records that one sync made durable."""

    offset: int
    end: int
    first_sequence: int
    records: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it is stored; `digest` is the head of the chain after it."""

    sequence: int
    at_ns: int
    payload: bytes
    digest: bytes


def genesis_digest(journal_id: str, owner: str, account: str) -> bytes:
    """Return the digest that the first record is chained to; it depends on the identity of the journal."""
    return blake2b(f"{journal_id}\0{owner}\0{account}".encode(), digest_size=DIGEST_BYTES).digest()


def pack_header(header: SegmentHeader) -> bytes:
    """Encode the header of a segment."""
    owner, account = _encode_name(header.owner), _encode_name(header.account)
    length = _SEAL.size + _HEADER.size + len(owner) + len(account)
    fields = _HEADER.pack(
        length, FORMAT_VERSION, bytes.fromhex(header.journal_id), header.created_at_ns, header.first_sequence,
        header.previous, len(owner), len(account),
    )  # fmt: skip
    rest = fields + owner + account
    return _SEAL.pack(SEGMENT_MAGIC, crc32c(rest)) + rest


def _encode_name(text: str) -> bytes:
    encoded = text.encode()
    if not 0 < len(encoded) <= 255:
        raise ConfigError(f"a journal's owner and account have 1 to 255 bytes, not {len(encoded)}: {text!r}")
    return encoded


def unpack_header(start: bytes, path: Path) -> tuple[SegmentHeader, int] | None:
    """Decode the header from a segment's first bytes. Return it with its length, or None if it is torn or damaged."""
    if len(start) < _SEAL.size + _HEADER.size:
        return None
    magic, crc = _SEAL.unpack_from(start)
    length, version, identity, created, first, previous, owner_bytes, _ = _HEADER.unpack_from(start, _SEAL.size)
    if magic != SEGMENT_MAGIC or length > len(start) or crc32c(start[_SEAL.size : length]) != crc:
        return None
    if version != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: log format {version}, this release reads format {FORMAT_VERSION};"
            " `xtrader up --fresh` moves the old state aside and starts with an empty one"
        )
    names = start[_SEAL.size + _HEADER.size : length]
    owner, account = names[:owner_bytes].decode(errors="replace"), names[owner_bytes:].decode(errors="replace")
    return SegmentHeader(identity.hex(), owner, account, created, first, previous), length


def frame_bytes(entries: Sequence[Entry]) -> int:
    """Return the length of the frame that holds these entries."""
    return FRAME_HEADER_BYTES + RECORD_HEADER_BYTES * len(entries) + sum(len(payload) for _, payload in entries)


def pack_frame(entries: Sequence[Entry], *, first_sequence: int, previous: bytes, offset: int) -> tuple[bytes, bytes]:
    """Encode one frame for this offset. Return it with the new head of the chain."""
    records = []
    for sequence, (at_ns, payload) in enumerate(entries, first_sequence):
        _check_payload(payload)
        record = _RECORD.pack(len(payload), sequence, at_ns, previous) + payload
        previous = blake2b(record, digest_size=DIGEST_BYTES).digest()
        records.append(record)
    body = b"".join(records)
    if len(body) > FRAME_BYTES_MAX:
        raise InvariantError(f"a frame of {len(body)} bytes is longer than {FRAME_BYTES_MAX}")
    fields = (FORMAT_VERSION, len(entries), len(body), offset, first_sequence)
    unsealed = _FRAME.pack(FRAME_MAGIC, 0, *fields)[_FRAME_SEAL_BYTES:] + body
    return FRAME_MAGIC + crc32c(unsealed).to_bytes(4, "little") + unsealed, previous


def _check_payload(payload: bytes) -> None:
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise InvariantError(f"an entry of {len(payload)} bytes is longer than {PAYLOAD_BYTES_MAX}")


def unpack_frame_head(start: bytes, offset: int) -> FrameHead | None:
    """Decode the head of a frame, or return None if there is none at this offset.

    The frame contains its own offset. Therefore neither a payload that contains the bytes of a frame nor an old block
    that a file system restores is mistaken for one.
    """
    if len(start) < FRAME_HEADER_BYTES:
        return None
    magic, crc, version, count, body_bytes, stored_offset, first_sequence = _FRAME.unpack_from(start)
    if magic != FRAME_MAGIC or version != FORMAT_VERSION or stored_offset != offset:
        return None
    return FrameHead(crc, count, body_bytes, first_sequence)


def unpack_frame(content: bytes, offset: int, head: FrameHead) -> Frame | None:
    """Verify the checksum of a frame. Return None if its bytes are incomplete or altered."""
    end = FRAME_HEADER_BYTES + head.body_bytes
    if len(content) != end or crc32c(content[_FRAME_SEAL_BYTES:]) != head.crc:
        return None
    return Frame(offset, offset + end, head.first_sequence, head.records, content[FRAME_HEADER_BYTES:])


def unpack_records(frame: Frame, previous: bytes | None, path: Path) -> Iterator[UnpackedRecord]:
    """Decode the records of a frame and verify the chain.

    `previous` is None if reading starts in the middle of the journal.
    """
    body, start, expected = frame.body, 0, frame.first_sequence
    for expected in range(frame.first_sequence, frame.first_sequence + frame.records):
        record_start = body[start : start + RECORD_HEADER_BYTES].ljust(RECORD_HEADER_BYTES, b"\0")
        length, sequence, at_ns, link = _RECORD.unpack(record_start)
        end = start + RECORD_HEADER_BYTES + length
        if sequence != expected or end > len(body) or link != (previous or link):
            raise CorruptData(
                f"{path}: record {expected} at offset {frame.offset} does not follow from the one before it"
            )
        previous = blake2b(body[start:end], digest_size=DIGEST_BYTES).digest()
        yield sequence, at_ns, body[start + RECORD_HEADER_BYTES : end], previous
        start = end
    if start != len(body):
        raise CorruptData(f"{path}: bytes follow record {expected}, the last of the frame at offset {frame.offset}")
