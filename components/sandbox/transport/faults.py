"""Fault switches of the venues: deterministic and counted.

Each switch counts the occasions on which it could trigger: the first `skip` pass, the next `times` fail. Faults change
what clients receive, never the venue's own state.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

ANY = "*"
DEFAULT_CODE = 1011  # the code of a fault that names none
NonNegative = Annotated[int, Meta(ge=0)]


class CryptoFaultKind(StrEnum):
    """Kinds of faults of the crypto venues."""

    # Occasion: each data frame to a client.
    DROP = "drop"  # the frame is lost
    DUPLICATE = "duplicate"  # the frame is sent twice
    DELAY = "delay"  # the frame and everything behind it is delayed by `ms`, then sent in a burst
    SWAP = "swap"  # the frame is sent after the next one of its topic and symbol
    CLOSE = "close"  # the connection is closed with `code` instead
    SILENCE = "mute"  # no more data frames of `symbol` on this connection; pings are answered
    HALF_OPEN = "half_open"  # nothing more on this connection, not even pongs; a new connection is an occasion too
    CORRUPT_JSON = "corrupt_json"  # half of the frame followed by invalid bytes
    UNKNOWN_FIELDS = "unknown_fields"  # the frame carries undocumented fields
    IDS_BACK = "ids_back"  # the frame's ids are lower by `count`, at least by enough to make the frame stale
    CROSSED = "crossed"  # the frame carries a bid above the best ask
    # Occasion: each subscription to a stream.
    ACK_THEN_SILENCE = "ack_then_silence"  # it is confirmed, and no data follows
    REJECT_SUBSCRIBE = "reject_subscribe"  # it is rejected, with `code` where the venue has codes
    # Occasion: each attempt to connect.
    REFUSE_CONNECT = "refuse_connect"  # the handshake response is `status` with, if > 0, `retry_after_s`
    # Occasion: each REST request.
    REST_STALE = "rest_stale"  # the book is `count` updates older than usual
    REST_FAIL = "rest_fail"  # the response is `status` with, if > 0, `retry_after_s`
    REST_DELAY = "rest_delay"  # the response is delayed by `ms`
    # Triggered immediately when armed.
    CUT = "cut"  # every connection is aborted
    SERVE_SHUTDOWN = "serve_shutdown"  # every client gets a shutdown notice, and its connection is closed `ms` later


IMMEDIATE_KINDS = frozenset({CryptoFaultKind.CUT, CryptoFaultKind.SERVE_SHUTDOWN})


class CryptoFault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch: the first `skip` matching occasions pass, the next `times` fail."""

    kind: CryptoFaultKind
    venue: str = ANY
    symbol: str = ANY  # the venue's own symbol
    topic: str = ANY  # topic of a data frame: book, quote, trade
    times: Annotated[int, Meta(ge=1)] = 1
    skip: NonNegative = 0
    ms: NonNegative = 0
    code: int = DEFAULT_CODE
    status: int = 503
    retry_after_s: NonNegative = 0
    count: NonNegative = 1

    def matches(self, target: "FaultTarget") -> bool:
        """Return whether this fault applies to such an occasion."""
        return (
            self.venue in {ANY, target.venue}
            and self.symbol in {ANY, target.symbol}
            and self.topic in {ANY, target.topic}
        )


class FaultTarget(Struct, frozen=True):
    """The venue, symbol and topic of one occasion for a fault."""

    venue: str
    symbol: str = ANY
    topic: str = ANY


class AlpacaFaultKind(StrEnum):
    """Kinds of faults of the Alpaca venue."""

    ACCEPT_THEN_DROP = "accept_then_drop"  # the request is executed, then the connection is aborted
    ACCEPT_THEN_504 = "accept_then_504"  # the request is executed, the response is a gateway's 504
    ACCEPT_THEN_DELAY = "accept_then_delay"  # the request is executed, the response is delayed by `ms`
    ANSWER = "answer"  # the request is not executed; the response is `status`
    REJECT = "reject"  # the order is accepted, then rejected by an event
    LOSE_EVENT = "lose_event"  # an event is not streamed
    DUPLICATE_EVENT = "duplicate_event"  # an event is streamed twice, with the same execution id
    DROP_STREAM = "drop_stream"  # the trade_updates connection is aborted immediately
    SILENCE_STREAM = "mute_stream"  # the trade_updates connection stays open and sends nothing
    READ_LAG = "read_lag"  # by_client_order_id does not find orders younger than `ms`
    STOP_QUOTES = "stop_quotes"  # the simulated market stops


class AlpacaFault(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One switch: the first `skip` occasions pass, the next `times` fail; a condition holds until it is cleared."""

    kind: AlpacaFaultKind
    times: int = 1
    skip: int = 0
    ms: int = 0
    status: int = 503
    method: str = "POST"
    path: str = "/v2/orders"

    def matches(self, method: str, path: str) -> bool:
        """Return whether this fault applies to such a request."""
        return self.method in {method, "*"} and path.startswith(self.path)


Fault = TypeVar("Fault", CryptoFault, AlpacaFault)


@dataclass(slots=True)
class ArmedFault(Generic[Fault]):
    """A fault with the number of occasions seen and failures caused."""

    fault: Fault
    seen: int = 0
    done: int = 0

    def trigger(self) -> bool:
        """Count one occasion; return whether it fails."""
        self.seen += 1
        hit = self.fault.skip < self.seen <= self.fault.skip + self.fault.times
        self.done += hit
        return hit


@dataclass(slots=True)
class CryptoFaultSwitches:
    """The armed faults of all crypto venues."""

    armed: list[ArmedFault[CryptoFault]] = field(default_factory=list)

    def arm(self, fault: CryptoFault) -> None:
        """Arm a fault; an immediate fault counts as triggered."""
        count = int(fault.kind in IMMEDIATE_KINDS)
        self.armed.append(ArmedFault(fault, count, count))

    def clear(self) -> None:
        """Disarm all faults."""
        self.armed.clear()

    def trigger(self, kind: CryptoFaultKind, target: FaultTarget) -> CryptoFault | None:
        """Count an occasion for every matching fault of a kind; return the first that is triggered."""
        waiting = [one for one in self.armed if one.fault.kind is kind and one.fault.matches(target)]
        hits = [one.fault for one in waiting if one.trigger()]
        return hits[0] if hits else None


@dataclass(slots=True)
class AlpacaFaultSwitches:
    """The armed faults of the Alpaca venue."""

    armed: list[ArmedFault[AlpacaFault]] = field(default_factory=list)

    def arm(self, fault: AlpacaFault) -> None:
        """Arm a fault."""
        self.armed.append(ArmedFault(fault))

    def clear(self) -> None:
        """Disarm all faults."""
        self.armed.clear()

    def trigger(self, kind: AlpacaFaultKind) -> AlpacaFault | None:
        """Count an occasion for every fault of a kind; return the first that is triggered."""
        hits = [one.fault for one in self.armed if one.fault.kind is kind and one.trigger()]
        return hits[0] if hits else None

    def trigger_request(self, kind: AlpacaFaultKind, method: str, path: str) -> AlpacaFault | None:
        """Count a request for every matching fault of a kind; return the first that is triggered."""
        waiting = [one for one in self.armed if one.fault.kind is kind and one.fault.matches(method, path)]
        hits = [one.fault for one in waiting if one.trigger()]
        return hits[0] if hits else None

    def active_condition(self, kind: AlpacaFaultKind) -> AlpacaFault | None:
        """Return the first armed fault of this kind; a condition has no occasions and holds until it is cleared."""
        return next((one.fault for one in self.armed if one.fault.kind is kind), None)
