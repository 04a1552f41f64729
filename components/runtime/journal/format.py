"""The bytes of the log, both ways: segment headers, frames, records (why so: docs/adr/0006-journal-format.md)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from google_crc32c import value as crc32c

from components.contracts.errors import ConfigError, CorruptData, InvariantError

Entry: TypeAlias = tuple[int, bytes]  # at_ns, payload: what a writer hands in
UnpackedRecord: TypeAlias = tuple[int, int, bytes, bytes]  # sequence, at_ns, payload, digest: what a reader gets
FORMAT_VERSION: Final = 2
"""Version 1 had the same layout, but its records carried other message tags."""
SEGMENT_MAGIC: Final = b"XTRLOG\r\n"  # the line end shows a file that was copied as text
FRAME_MAGIC: Final = b"\xf7XF\x96"
DIGEST_BYTES: Final = 32
HEADER_BYTES_MAX: Final = 1024
PAYLOAD_BYTES_MAX: Final = 1 << 20  # far above any message; a larger one is a bug, not an entry
FRAME_BYTES_MAX: Final = 1 << 26


# Little-endian throughout. A checksum covers everything behind it.
_SEAL: Final = Struct("<8sI")  # magic, CRC-32C
_HEADER: Final = Struct("<HH16sqQ32sBB")  # length, version, journal id, created, first sequence, previous digest, names
_FRAME: Final = Struct("<4sIHIIQQ")  # magic, CRC-32C, version, count, body length, offset, first sequence
_RECORD: Final = Struct("<IQq32s")  # payload length, sequence, at, previous digest
_FRAME_SEAL_BYTES: Final = 8
FRAME_HEADER_BYTES: Final = _FRAME.size
RECORD_HEADER_BYTES: Final = _RECORD.size


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """What the first bytes of each file say about the journal and about where the file belongs in it."""

    journal_id: str
    owner: str
    account: str
    created_at_ns: int
    first_sequence: int
    previous: bytes


class FrameHead(NamedTuple):
    """The fixed first bytes of a frame; believed only to step over it, until the checksum has been compared."""

    crc: int
    records: int
    body_bytes: int
    first_sequence: int


class Frame(NamedTuple):
    """A frame whose checksum holds: what one sync made durable."""

    offset: int
    end: int
    first_sequence: int
    records: int
    body: bytes


def genesis_digest(journal_id: str, owner: str, account: str) -> bytes:
    """Give the digest that the first record is chained to: the journal's own identity."""
    return blake2b(f"{journal_id}\0{owner}\0{account}".encode(), digest_size=DIGEST_BYTES).digest()


def pack_header(header: SegmentHeader) -> bytes:
    """Write a segment's header."""
    owner, account = _name(header.owner), _name(header.account)
    length = _SEAL.size + _HEADER.size + len(owner) + len(account)
    fields = _HEADER.pack(
        length, FORMAT_VERSION, bytes.fromhex(header.journal_id), header.created_at_ns, header.first_sequence,
        header.previous, len(owner), len(account),
    )  # fmt: skip
    rest = fields + owner + account
    return _SEAL.pack(SEGMENT_MAGIC, crc32c(rest)) + rest


def unpack_header(start: bytes, path: Path) -> tuple[SegmentHeader, int] | None:
    """Read the header from a segment's first bytes, with its length; None where it is torn or damaged."""
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


def _name(text: str) -> bytes:
    encoded = text.encode()
    if not 0 < len(encoded) <= 255:
        raise ConfigError(f"a journal's owner and account have 1 to 255 bytes, not {len(encoded)}: {text!r}")
    return encoded


def frame_bytes(entries: Sequence[Entry]) -> int:
    """Tell how long the frame of these entries will be."""
    return FRAME_HEADER_BYTES + RECORD_HEADER_BYTES * len(entries) + sum(len(payload) for _, payload in entries)


def pack_frame(entries: Sequence[Entry], *, first_sequence: int, previous: bytes, offset: int) -> tuple[bytes, bytes]:
    """Write one frame that will stand at this offset; give it with the chain's new head."""
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
    """Read the head of a frame; None where none stands. A frame counts only where it was written.

    So neither a payload that holds the bytes of some frame nor an old block that a file system brings back is one.
    """
    if len(start) < FRAME_HEADER_BYTES:
        return None
    magic, crc, version, count, body_bytes, place, first_sequence = _FRAME.unpack_from(start)
    if magic != FRAME_MAGIC or version != FORMAT_VERSION or place != offset:
        return None
    return FrameHead(crc, count, body_bytes, first_sequence)


def unpack_frame(whole: bytes, offset: int, head: FrameHead) -> Frame | None:
    """Compare the checksum of the frame's bytes; None where they are short or altered."""
    end = FRAME_HEADER_BYTES + head.body_bytes
    if len(whole) != end or crc32c(whole[_FRAME_SEAL_BYTES:]) != head.crc:
        return None
    return Frame(offset, offset + end, head.first_sequence, head.records, whole[FRAME_HEADER_BYTES:])


def unpack_records(frame: Frame, previous: bytes | None, path: Path) -> Iterator[UnpackedRecord]:
    """Read the frame's records and follow the chain; `previous` is unknown where reading starts in the middle."""
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
        raise CorruptData(f"{path}: record {expected} at offset {frame.offset} is not the last of its frame")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry as it is kept; `digest` is the head of the chain after it."""

    sequence: int
    at_ns: int
    payload: bytes
    digest: bytes
