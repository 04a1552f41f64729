"""The crypto venues' fault switches: deterministic, counted, and blind to the truth, which they never alter."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

ANY = "*"


class CryptoFaultKind(StrEnum):
    """Every way a crypto venue can be made to misbehave."""

    # Chances: each data frame that a client would get.
    DROP = "drop"  # the frame is lost
    DUPLICATE = "duplicate"  # the frame is sent twice
    DELAY = "delay"  # the frame and all behind it wait `ms`, then come in a burst
    SWAP = "swap"  # the frame comes after the next one of its kind and symbol
    CLOSE = "close"  # the connection is closed with `code` instead
    SILENCE = "mute"  # no more data frames of `symbol` on this connection; pings are answered
    HALF_OPEN = "half_open"  # nothing more on this connection, not even pongs; an accepted connection is a chance too
    CORRUPT_JSON = "corrupt_json"  # half of the frame, and nonsense
    UNKNOWN_FIELDS = "unknown_fields"  # fields nobody announced
    IDS_BACK = "ids_back"  # the frame's ids are `count` lower, and at least so much that it is old
    CROSSED = "crossed"  # the frame carries a bid above the best ask
    # Chances: each subscription to a stream.
    ACK_THEN_SILENCE = "ack_then_silence"  # it is confirmed, and nothing follows
    REJECT_SUBSCRIBE = "reject_subscribe"  # it is refused, where the venue knows codes with `code`
    # Chances: each attempt to connect.
    REFUSE_CONNECT = "refuse_connect"  # the handshake is answered with `status` and, if > 0, `retry_after_s`
    # Chances: each REST request.
    REST_STALE = "rest_stale"  # the book is `count` changes older than it could be
    REST_FAIL = "rest_fail"  # it is answered with `status` and, if > 0, `retry_after_s`
    REST_DELAY = "rest_delay"  # the answer comes `ms` later
    # At once, when armed.
    CUT = "cut"  # every connection is cut without a word
    SERVE_SHUTDOWN = "serve_shutdown"  # every connection is told that the server goes, and is closed `ms` later


IMMEDIATE_KINDS = frozenset({CryptoFaultKind.CUT, CryptoFaultKind.SERVE_SHUTDOWN})
NonNegative = Annotated[int, Meta(ge=0)]


class CryptoFault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch: the first `skip` chances pass, the next `times` misbehave."""

    kind: CryptoFaultKind
    venue: str = ANY
    symbol: str = ANY  # the venue's own name
    topic: str = ANY  # of data frames: book, quote, trade
    times: Annotated[int, Meta(ge=1)] = 1
    skip: NonNegative = 0
    ms: NonNegative = 0
    code: int = 1011
    status: int = 503
    retry_after_s: NonNegative = 0
    count: NonNegative = 1

    def matches(self, target: "FaultTarget") -> bool:
        """Tell whether this fault waits for such a chance."""
        return (
            self.venue in {ANY, target.venue}
            and self.symbol in {ANY, target.symbol}
            and self.topic in {ANY, target.topic}
        )


class FaultTarget(Struct, frozen=True):
    """Where something may go wrong."""

    venue: str
    symbol: str = ANY
    topic: str = ANY


@dataclass(slots=True)
class ArmedCryptoFault:
    """A fault with its count of chances seen and of harm done."""

    fault: CryptoFault
    seen: int = 0
    done: int = 0

    def trigger(self) -> bool:
        """Count one chance; true if this one misbehaves."""
        self.seen += 1
        hit = self.fault.skip < self.seen <= self.fault.skip + self.fault.times
        self.done += hit
        return hit


@dataclass(slots=True)
class CryptoFaultSwitches:
    """The switches that are on, of all crypto venues."""

    armed: list[ArmedCryptoFault] = field(default_factory=list)

    def arm(self, fault: CryptoFault) -> None:
        """Switch a fault on; what strikes at once has struck."""
        struck = int(fault.kind in IMMEDIATE_KINDS)
        self.armed.append(ArmedCryptoFault(fault, struck, struck))

    def clear(self) -> None:
        """Switch everything off."""
        self.armed.clear()

    def trigger(self, kind: CryptoFaultKind, target: FaultTarget) -> CryptoFault | None:
        """Give every fault of a kind that waits for such a chance this one; return the one that misbehaves."""
        waiting = [one for one in self.armed if one.fault.kind is kind and one.fault.matches(target)]
        hits = [one.fault for one in waiting if one.trigger()]
        return hits[0] if hits else None
