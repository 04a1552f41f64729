"""The fault script of one connection: what becomes of each data frame on its way out, decided at one place.

What can go wrong with a REST request, decided at one place.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from aiohttp import web

from components.sandbox.simulation.order_flow import OrderFlow
from components.sandbox.transport.faults import ANY, CryptoFault, CryptoFaultKind, CryptoFaultSwitches, FaultTarget
from components.sandbox.transport.http_server import json_response


class Pause(NamedTuple):
    """Everything behind this waits so long."""

    ms: int


class Close(NamedTuple):
    """The connection is closed with this code."""

    code: int


class Ping(NamedTuple):
    """The venue asks whether the client still lives."""

    payload: bytes


class Pong(NamedTuple):
    """The venue answers a client's ping."""

    payload: bytes


Item: TypeAlias = str | Pause | Close | Ping | Pong


class FaultInjector:
    """Lets frames through, or does to them what is armed."""

    def __init__(self, venue: str, faults: CryptoFaultSwitches) -> None:
        self.is_half_open = False
        self._venue = venue
        self._faults = faults
        self._silenced: set[str] = set()
        self._held: dict[tuple[str, str], str] = {}

    def on_open(self) -> None:
        """Take a connection's first chance to be half open from the beginning."""
        self.is_half_open = self._trigger(CryptoFaultKind.HALF_OPEN, FaultTarget(self._venue)) is not None

    def maybe_never_serve(self, symbol: str) -> None:
        """Take a subscription's chance to be confirmed and never served."""
        if self._trigger(CryptoFaultKind.ACK_THEN_SILENCE, FaultTarget(self._venue, symbol)):
            self._silenced.add(symbol)

    def on_unsubscribe(self, symbol: str) -> None:
        """Let a symbol that was unsubscribed be served again when it is wanted again."""
        self._silenced.discard(symbol)

    def should_corrupt(self, kind: CryptoFaultKind, symbol: str, topic: str = "book") -> CryptoFault | None:
        """Tell a venue that makes a frame whether to make it wrong: ids back, crossed."""
        return self._trigger(kind, FaultTarget(self._venue, symbol, topic))

    def apply(self, text: str, symbol: str, topic: str) -> list[Item]:
        """Say what is really sent in the place of one data frame."""
        chance = FaultTarget(self._venue, symbol, topic)
        if self._faults.armed:
            self._maybe_silence(chance)
        if self.is_half_open or not self._silenced.isdisjoint((ANY, symbol)):
            return []
        items: list[Item] = [text] if not self._faults.armed else self._apply_frame_faults(text, chance)
        return self._with_held_frame(items, (symbol, topic))

    def _maybe_silence(self, target: FaultTarget) -> None:
        if self._trigger(CryptoFaultKind.HALF_OPEN, target):
            self.is_half_open = True
        if fault := self._trigger(CryptoFaultKind.SILENCE, target):
            self._silenced.add(fault.symbol)

    def _apply_frame_faults(self, text: str, target: FaultTarget) -> list[Item]:
        for kind, harm in _FRAME_FAULTS:
            if fault := self._trigger(kind, target):
                return harm(text, fault)
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
    news = '"zzNew":{"since":2027,"of":[1,"two",null]},'
    # In the frame itself and in what it wraps.
    return [text.replace("{", "{" + news, 1).replace('"data":{', '"data":{' + news, 1)]


_FRAME_FAULTS: tuple[tuple[CryptoFaultKind, Callable[[str, CryptoFault], list[Item]]], ...] = (
    (CryptoFaultKind.DROP, _drop),
    (CryptoFaultKind.DUPLICATE, _duplicate),
    (CryptoFaultKind.DELAY, _delay),
    (CryptoFaultKind.CLOSE, _close),
    (CryptoFaultKind.CORRUPT_JSON, _corrupt),
    (CryptoFaultKind.UNKNOWN_FIELDS, _with_unknown_fields),
)


async def inject_rest_fault(faults: CryptoFaultSwitches, venue: str, symbol: str = "*") -> web.Response | None:
    """Let a request wait if it must, and give the answer of a venue that fails, if it fails."""
    chance = FaultTarget(venue, symbol)
    if slow := faults.trigger(CryptoFaultKind.REST_DELAY, chance):
        await asyncio.sleep(slow.ms / 1000)
    if fault := faults.trigger(CryptoFaultKind.REST_FAIL, chance):
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s else None
        return json_response({"code": -1000, "msg": "the operator wants this request to fail"}, fault.status, headers)
    return None


def snapshot_id(flow: OrderFlow, faults: CryptoFaultSwitches, venue: str, symbol: str, lag: int = 0) -> int:
    """Give the id whose book a REST answer shows: so many changes old, and older where that is armed."""
    if fault := faults.trigger(CryptoFaultKind.REST_STALE, FaultTarget(venue, symbol)):
        lag += fault.count
    return flow.id_before(symbol, lag)
