"""Wire messages of Binance; field names are Binance's own."""

from typing import Annotated, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from components.runtime.clock import NS_PER_MS

NS_PER_US: Final = 1_000
TIMESTAMP_MS_MAX: Final = 9_000_000_000_000
"""The year 2255 in milliseconds; a larger timestamp counts microseconds, which a stream sends on request."""
DETAIL_CHARACTERS_MAX: Final = 160
Timestamp: TypeAlias = Annotated[int, Meta(ge=0, le=TIMESTAMP_MS_MAX * 1000)]
SequenceId: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
WireLevels: TypeAlias = list[tuple[str, str]]
Payload = TypeVar("Payload")


class SpotDepth(Struct, frozen=True, gc=False):
    """The levels changed by the updates U to u."""

    E: Timestamp
    s: str
    U: SequenceId
    u: SequenceId
    b: WireLevels
    a: WireLevels


class FuturesDepth(Struct, frozen=True, gc=False):
    """The levels changed after the update pu, up to the update u."""

    E: Timestamp
    s: str
    u: SequenceId
    pu: SequenceId
    b: WireLevels
    a: WireLevels


class BookTicker(Struct, frozen=True, gc=False):
    """The best bid and ask as of the update id u; spot sends no time."""

    s: str
    u: SequenceId
    b: str
    B: str
    a: str
    A: str
    E: Timestamp = 0


class AggTrade(Struct, frozen=True, gc=False):
    """The fills of one taker order at one price; m is true where the buyer was the maker, so the taker sold."""

    s: str
    a: SequenceId
    p: str
    q: str
    T: Timestamp


class SnapshotResponse(Struct, frozen=True, gc=False, rename="camel"):
    """A full order book; spot sends no time."""

    last_update_id: SequenceId
    bids: WireLevels
    asks: WireLevels
    E: Timestamp = 0


class ErrorMessage(Struct, frozen=True, gc=False):
    """An error sent by the venue."""

    code: int
    msg: str = ""


class OtherMessage(Struct, frozen=True, gc=False):
    """Any message without market data: replies, errors, notices, and streams that were not requested."""

    stream: str = ""
    e: str = ""
    result: msgspec.Raw | UnsetType = UNSET
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: ErrorMessage | None = None


class _Wrapped(Struct, Generic[Payload], frozen=True, gc=False):
    data: Payload


class PayloadDecoder(Generic[Payload]):
    """Decodes a payload that comes bare or, on a combined stream, wrapped with the stream's name."""

    __slots__ = ("_bare", "_wrapped")

    def __init__(self, body: type[Payload]) -> None:
        self._bare = msgspec.json.Decoder(body)
        # mypy takes the subscript for a type, but its argument is a value here; msgspec reads it at run time.
        self._wrapped = msgspec.json.Decoder(_Wrapped[body])  # type: ignore[valid-type]

    def decode(self, frame: bytes) -> Payload:
        """Decode the payload in one pass."""
        if b'"stream"' in frame:
            return self._wrapped.decode(frame).data
        return self._bare.decode(frame)


def timestamp_ns(timestamp: int) -> int:
    """Return a timestamp of the venue in nanoseconds."""
    return timestamp * (NS_PER_MS if timestamp <= TIMESTAMP_MS_MAX else NS_PER_US)
