"""Faults an operator can switch on: deterministic, counted, and gone when cleared."""

from dataclasses import dataclass, field
from enum import StrEnum

from msgspec import Struct


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
