"""The crypto venues' fault switches: deterministic, counted, and blind to the truth, which they never alter.

Faults an operator can switch on: deterministic, counted, and gone when cleared.
"""

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


class AlpacaFaultKind(StrEnum):
    """Every way this venue can be made to misbehave."""

    ACCEPT_THEN_DROP = "accept_then_drop"  # the request is carried out, then the connection is dropped
    ACCEPT_THEN_504 = "accept_then_504"  # the request is carried out, then a gateway says 504
    ACCEPT_THEN_DELAY = "accept_then_delay"  # the request is carried out, the reply comes `ms` later
    ANSWER = "answer"  # the request is not carried out; `status` is answered
    REJECT = "reject"  # the order is accepted, then rejected by an event
    LOSE_EVENT = "lose_event"  # an event is not streamed
    DUPLICATE_EVENT = "duplicate_event"  # an event is streamed twice, with the same execution id
    DROP_STREAM = "drop_stream"  # the trade_updates socket is dropped, now
    SILENCE_STREAM = "mute_stream"  # the trade_updates socket stays open and says nothing
    READ_LAG = "read_lag"  # by_client_order_id knows no order younger than `ms`
    STOP_QUOTES = "stop_quotes"  # the market stands still


CONDITIONS = frozenset({AlpacaFaultKind.SILENCE_STREAM, AlpacaFaultKind.READ_LAG, AlpacaFaultKind.STOP_QUOTES})


class AlpacaFault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch: the first `skip` chances pass, the next `times` misbehave; a condition lasts until it is cleared."""

    kind: AlpacaFaultKind
    times: int = 1
    skip: int = 0
    ms: int = 0
    status: int = 503
    method: str = "POST"
    path: str = "/v2/orders"

    def matches(self, method: str, path: str) -> bool:
        """Tell whether a request is of the kind this fault waits for."""
        return self.method in {method, "*"} and path.startswith(self.path)


@dataclass(slots=True)
class ArmedAlpacaFault:
    """A fault with its count of chances seen and of harm done."""

    fault: AlpacaFault
    seen: int = 0
    done: int = 0

    def trigger(self) -> bool:
        """Count one chance; true if this one misbehaves."""
        self.seen += 1
        hit = self.fault.skip < self.seen <= self.fault.skip + self.fault.times
        self.done += hit
        return hit


@dataclass(slots=True)
class AlpacaFaultSwitches:
    """The switches that are on."""

    armed: list[ArmedAlpacaFault] = field(default_factory=list)

    def arm(self, fault: AlpacaFault) -> None:
        """Switch a fault on."""
        self.armed.append(ArmedAlpacaFault(fault))

    def clear(self) -> None:
        """Switch everything off."""
        self.armed.clear()

    def trigger(self, kind: AlpacaFaultKind) -> AlpacaFault | None:
        """Give every fault of a kind its chance; return the one that misbehaves."""
        hits = [one.fault for one in self.armed if one.fault.kind is kind and one.trigger()]
        return hits[0] if hits else None

    def trigger_request(self, kind: AlpacaFaultKind, method: str, path: str) -> AlpacaFault | None:
        """Give the faults of a kind that wait for such a request their chance."""
        waiting = [one for one in self.armed if one.fault.kind is kind and one.fault.matches(method, path)]
        hits = [one.fault for one in waiting if one.trigger()]
        return hits[0] if hits else None

    def active_condition(self, kind: AlpacaFaultKind) -> AlpacaFault | None:
        """Return the condition of this kind that holds now, if any."""
        return next((one.fault for one in self.armed if one.fault.kind is kind), None)
