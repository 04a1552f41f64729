"""Binance's frames as they stand on the wire; the names of their fields are Binance's own."""

from typing import Annotated, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

NS_PER_MS: Final = 1_000_000
NS_PER_US: Final = 1_000
STAMP_MS_MAX: Final = 9_000_000_000_000
"""The year 2255 in milliseconds; a stamp above it counts microseconds, as a stream sends them when asked to."""
DETAIL_MAX: Final = 160
STRANGE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""All that bytes can do to the decoder; broken UTF-8 is a ValueError, deep nesting a RecursionError."""

Stamp: TypeAlias = Annotated[int, Meta(ge=0, le=STAMP_MS_MAX * 1000)]
Number: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Levels: TypeAlias = list[tuple[str, str]]
Body = TypeVar("Body")


class SpotDepth(Struct, frozen=True, gc=False):
    """Levels touched from the id U to the id u."""

    E: Stamp
    s: str
    U: Number
    u: Number
    b: Levels
    a: Levels


class UmDepth(Struct, frozen=True, gc=False):
    """Levels touched after the id pu, to the id u."""

    E: Stamp
    s: str
    u: Number
    pu: Number
    b: Levels
    a: Levels


class BookTicker(Struct, frozen=True, gc=False):
    """The best bid and ask as of the book's id u; spot gives no time."""

    s: str
    u: Number
    b: str
    B: str
    a: str
    A: str
    E: Stamp = 0


class AggTrade(Struct, frozen=True, gc=False):
    """What one taker's order did at one price; m says that the buyer was the maker, so the taker sold."""

    s: str
    a: Number
    p: str
    q: str
    T: Stamp


class Image(Struct, frozen=True, gc=False, rename="camel"):
    """A whole book; spot gives no time."""

    last_update_id: Number
    bids: Levels
    asks: Levels
    E: Stamp = 0


class Failure(Struct, frozen=True, gc=False):
    """The venue's complaint."""

    code: int
    msg: str = ""


class Other(Struct, frozen=True, gc=False):
    """Whatever is no data: answers, complaints, notices, streams that were not asked for."""

    stream: str = ""
    e: str = ""
    result: msgspec.Raw | UnsetType = UNSET
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: Failure | None = None


class _Wrapped(Struct, Generic[Body], frozen=True, gc=False):
    data: Body


class Either(Generic[Body]):
    """Reads a payload that stands alone or, on a combined stream, within its wrapping."""

    __slots__ = ("_bare", "_wrapped")

    def __init__(self, body: type[Body]) -> None:
        self._bare = msgspec.json.Decoder(body)
        # mypy takes the subscript for a type and its argument is a value here; msgspec reads it at run time.
        self._wrapped = msgspec.json.Decoder(_Wrapped[body])  # type: ignore[valid-type]

    def decode(self, frame: bytes) -> Body:
        """Read the payload in one pass."""
        if b'"stream"' in frame:
            return self._wrapped.decode(frame).data
        return self._bare.decode(frame)


def stamp_ns(stamp: int) -> int:
    """Turn a time of the venue into nanoseconds."""
    return stamp * (NS_PER_MS if stamp <= STAMP_MS_MAX else NS_PER_US)
