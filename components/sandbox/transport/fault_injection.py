"""Applies armed faults: to data frames and subscriptions of one connection, and to REST requests."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from aiohttp import web

from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.faults import ANY, CryptoFault, CryptoFaultKind, CryptoFaultSwitches, FaultTarget
from components.sandbox.transport.http_server import json_response


class Pause(NamedTuple):
    """Delay everything queued behind this item."""

    ms: int


class Close(NamedTuple):
    """Close the connection with this code."""

    code: int


class Ping(NamedTuple):
    """Send a ping."""

    payload: bytes


class Pong(NamedTuple):
    """Answer a client's ping."""

    payload: bytes


Item: TypeAlias = str | Pause | Close | Ping | Pong


class FaultInjector:
    """Passes the data frames of one connection on, or changes them as armed faults require."""

    def __init__(self, venue: str, faults: CryptoFaultSwitches) -> None:
        self.is_half_open = False
        self._venue = venue
        self._faults = faults
        self._silenced: set[str] = set()
        self._held: dict[tuple[str, str], str] = {}

    def on_open(self) -> None:
        """Count a new connection; an armed fault makes it half open from the start."""
        self.is_half_open = self._trigger(CryptoFaultKind.HALF_OPEN, FaultTarget(self._venue)) is not None

    def maybe_never_serve(self, symbol: str) -> None:
        """Count a subscription; an armed fault confirms it and sends no data for it."""
        if self._trigger(CryptoFaultKind.ACK_THEN_SILENCE, FaultTarget(self._venue, symbol)):
            self._silenced.add(symbol)

    def on_unsubscribe(self, symbol: str) -> None:
        """Clear the silence of a symbol, so that a new subscription is served."""
        self._silenced.discard(symbol)

    def should_corrupt(self, kind: CryptoFaultKind, symbol: str, topic: str = "book") -> CryptoFault | None:
        """Return the armed fault that the caller must build into its next frame, if any (lower ids, crossed)."""
        return self._trigger(kind, FaultTarget(self._venue, symbol, topic))

    def apply(self, text: str, symbol: str, topic: str) -> list[Item]:
        """Return what to send in place of one data frame."""
        target = FaultTarget(self._venue, symbol, topic)
        if self._faults.armed:
            self._maybe_silence(target)
        if self.is_half_open or not self._silenced.isdisjoint((ANY, symbol)):
            return []
        items: list[Item] = [text] if not self._faults.armed else self._apply_frame_faults(text, target)
        return self._with_held_frame(items, (symbol, topic))

    def _maybe_silence(self, target: FaultTarget) -> None:
        if self._trigger(CryptoFaultKind.HALF_OPEN, target):
            self.is_half_open = True
        if fault := self._trigger(CryptoFaultKind.SILENCE, target):
            self._silenced.add(fault.symbol)

    def _apply_frame_faults(self, text: str, target: FaultTarget) -> list[Item]:
        for kind, apply_fault in _FRAME_FAULTS:
            if fault := self._trigger(kind, target):
                return apply_fault(text, fault)
        if self._trigger(CryptoFaultKind.SWAP, target):
            self._held.setdefault((target.symbol, target.topic), text)
            return []
        return [text]

    def _with_held_frame(self, items: list[Item], kind: tuple[str, str]) -> list[Item]:
        held = self._held.pop(kind, None) if items else None
        return items if held is None else [*items, held]

    def _trigger(self, kind: CryptoFaultKind, target: FaultTarget) -> CryptoFault | None:
        return self._faults.trigger(kind, target)


def _drop(_: str, __: CryptoFault) -> list[Item]:
    return []


def _duplicate(text: str, _: CryptoFault) -> list[Item]:
    return [text, text]


def _delay(text: str, fault: CryptoFault) -> list[Item]:
    return [Pause(fault.ms), text]


def _close(_: str, fault: CryptoFault) -> list[Item]:
    return [Close(fault.code)]


def _corrupt(text: str, _: CryptoFault) -> list[Item]:
    return [text[: len(text) // 2] + "\x07}{"]


def _with_unknown_fields(text: str, _: CryptoFault) -> list[Item]:
    unknown = '"zzNew":{"since":2027,"of":[1,"two",null]},'
    # In the frame itself and in the object that it wraps.
    return [text.replace("{", "{" + unknown, 1).replace('"data":{', '"data":{' + unknown, 1)]


_FRAME_FAULTS: tuple[tuple[CryptoFaultKind, Callable[[str, CryptoFault], list[Item]]], ...] = (
    (CryptoFaultKind.DROP, _drop),
    (CryptoFaultKind.DUPLICATE, _duplicate),
    (CryptoFaultKind.DELAY, _delay),
    (CryptoFaultKind.CLOSE, _close),
    (CryptoFaultKind.CORRUPT_JSON, _corrupt),
    (CryptoFaultKind.UNKNOWN_FIELDS, _with_unknown_fields),
)


async def inject_rest_fault(faults: CryptoFaultSwitches, venue: str, symbol: str = "*") -> web.Response | None:
    """Delay a request if that is armed; return an error response if that is armed, else None."""
    target = FaultTarget(venue, symbol)
    if slow := faults.trigger(CryptoFaultKind.REST_DELAY, target):
        await asyncio.sleep(slow.ms / 1000)
    if fault := faults.trigger(CryptoFaultKind.REST_FAIL, target):
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else None
        return json_response({"code": -1000, "msg": "failed by an armed fault"}, fault.status, headers)
    return None


def snapshot_id(flow: OrderFlow, faults: CryptoFaultSwitches, venue: str, symbol: str, lag: int = 0) -> int:
    """Return the id of the book that a REST response shows: `lag` updates old, and older if that is armed."""
    if fault := faults.trigger(CryptoFaultKind.REST_STALE, FaultTarget(venue, symbol)):
        lag += fault.count
    return flow.id_before(symbol, lag)
