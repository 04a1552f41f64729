"""What a broken or hostile peer may send to one of our sockets, from a wrong field to bytes that are no frames."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from socket import AF_UNIX, SOCK_STREAM, socket
from typing import TypeAlias

import zmq

from components.contracts.protocol import SCHEMA_VERSION, FrameKind, Header
from components.runtime.bus.codec import HEADER_BYTES_MAX, REQUEST_BYTES_MAX, encode
from components.runtime.bus.transport import ipc_address
from components.runtime.bus.zeromq import FRAME_BYTES_MAX
from tests.support.machine import scaled

Frames: TypeAlias = list[bytes]
REPLY_MS_MAX = 5_000
HEADER = encode(Header(SCHEMA_VERSION, FrameKind.MESSAGE, "stranger", "e", 1, 0, 0, 0))
NEXT_VERSION = encode(Header(SCHEMA_VERSION + 1, FrameKind.MESSAGE, "stranger", "e", 1, 0, 0, 0))
EVERY_BYTE = bytes(range(256))
MALFORMED: dict[str, tuple[Callable[[bytes, bytes], Frames], str]] = {
    "nothing": (lambda topic, body: [b""], "shape"),
    "no delimiter": (lambda topic, body: [topic, HEADER, body], "shape"),
    "a frame too few": (lambda topic, body: [b"", topic, HEADER], "shape"),
    "a frame too many": (lambda topic, body: [b"", topic, HEADER, body, body], "shape"),
    "a thousand frames": (lambda topic, body: [b"", *([topic] * 1_000)], "shape"),
    "a hop with too long a name": (lambda topic, body: [b"h" * 256, b"", topic, HEADER, body], "shape"),
    "another topic": (lambda topic, body: [b"", b"positions", HEADER, body], "topic"),
    "half a header": (lambda topic, body: [b"", topic, HEADER[: len(HEADER) // 2], body], "header"),
    "garbage for a header": (lambda topic, body: [b"", topic, EVERY_BYTE, body], "header"),
    "a header too long": (lambda topic, body: [b"", topic, bytes(HEADER_BYTES_MAX + 1), body], "oversize"),
    "the next version": (lambda topic, body: [b"", topic, NEXT_VERSION, body], "version"),
    "half a message": (lambda topic, body: [b"", topic, HEADER, body[: len(body) // 2]], "payload"),
    "garbage for a message": (lambda topic, body: [b"", topic, HEADER, EVERY_BYTE], "payload"),
    "a message too long": (lambda topic, body: [b"", topic, HEADER, bytes(REQUEST_BYTES_MAX + 1)], "oversize"),
    "the longest that arrives": (lambda topic, body: [b"", topic, HEADER, bytes(FRAME_BYTES_MAX)], "oversize"),
}
"""From a topic and a valid message of it: the frames, and the error that the bus must count."""
ZMTP_GREETING = b"\xff" + bytes(7) + b"\x01\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
READY = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
HANDSHAKE = ZMTP_GREETING + b"\x04" + bytes((len(READY),)) + READY
INVALID_BYTE_STREAMS: dict[str, bytes] = {
    "a web request": b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n",
    "noise": Random(7).randbytes(10_000),
    "nothing but zeros": bytes(10_000),
    "half a greeting": ZMTP_GREETING[:20],
    "a greeting and noise": ZMTP_GREETING + Random(8).randbytes(10_000),
    "flags that do not exist": HANDSHAKE + b"\xf8" * 100,
    "a length that lies": HANDSHAKE + b"\x02" + (2**63 - 1).to_bytes(8, "big") + b"x",
    "a message that never comes": HANDSHAKE + b"\x03" + (1 << 22).to_bytes(8, "big"),
}


class RawClient:
    """A client socket without a message bus."""

    def __init__(self, client: "zmq.Socket[bytes]") -> None:
        self._client = client

    def send(self, frames: Frames) -> None:
        """Send frames unchanged."""
        self._client.send_multipart(frames)

    def receive(self) -> tuple[Frames, bytes]:
        """Wait for a reply and return its hops and its message."""
        *hops, delimiter, _, _, message = self._client.recv_multipart()
        assert delimiter == b""
        return hops, message


@contextmanager
def raw_client(path: Path, kind: int = zmq.DEALER) -> Iterator[RawClient]:
    """Connect to a socket of a running process."""
    with zmq.Context() as context, context.socket(kind) as client:
        client.linger = 0
        client.rcvtimeo = client.sndtimeo = int(scaled(REPLY_MS_MAX))
        client.connect(ipc_address(path))
        yield RawClient(client)


def raw_connection(path: Path, sent: bytes) -> socket:
    """Connect without ZeroMQ, send these bytes, keep the connection open."""
    connection = socket(AF_UNIX, SOCK_STREAM)
    connection.settimeout(scaled(REPLY_MS_MAX / 1_000))
    connection.connect(str(path))
    connection.sendall(sent)
    return connection


def mutations(frames: Frames, count: int, seed: int) -> Iterable[Frames]:
    """Return copies with one bit flipped, or one frame truncated, somewhere in topic, header or message."""
    random = Random(seed)
    for _ in range(count):
        changed = [bytearray(frame) for frame in frames]
        frame = changed[random.randrange(1, len(changed))]
        at = random.randrange(len(frame))
        if random.random() < 0.2:
            del frame[at:]
        else:
            frame[at] ^= 1 << random.randrange(8)
        yield [bytes(one) for one in changed]
