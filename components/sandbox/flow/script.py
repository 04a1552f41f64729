"""The fault script of one connection: what becomes of each data frame on its way out, decided at one place."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from components.sandbox.flow.faults import ANY, Chance, FlowFault, FlowFaultKind, FlowFaults


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


class Script:
    """Lets frames through, or does to them what is armed."""

    def __init__(self, venue: str, faults: FlowFaults) -> None:
        self.is_half_open = False
        self._venue = venue
        self._faults = faults
        self._muted: set[str] = set()
        self._held: dict[tuple[str, str], str] = {}

    def opens(self) -> None:
        """Take a connection's first chance to be half open from the beginning."""
        self.is_half_open = self._strike(FlowFaultKind.HALF_OPEN, Chance(self._venue)) is not None

    def silences(self, symbol: str) -> None:
        """Take a subscription's chance to be confirmed and never served."""
        if self._strike(FlowFaultKind.ACK_THEN_SILENCE, Chance(self._venue, symbol)):
            self._muted.add(symbol)

    def forget(self, symbol: str) -> None:
        """Let a symbol that was unsubscribed be served again when it is wanted again."""
        self._muted.discard(symbol)

    def twist(self, kind: FlowFaultKind, symbol: str, topic: str = "book") -> FlowFault | None:
        """Tell a venue that makes a frame whether to make it wrong: ids back, crossed."""
        return self._strike(kind, Chance(self._venue, symbol, topic))

    def send(self, text: str, symbol: str, topic: str) -> list[Item]:
        """Say what is really sent in the place of one data frame."""
        chance = Chance(self._venue, symbol, topic)
        if self._faults.armed:
            self._may_fall_silent(chance)
        if self.is_half_open or not self._muted.isdisjoint((ANY, symbol)):
            return []
        items: list[Item] = [text] if not self._faults.armed else self._harm(text, chance)
        return self._behind(items, (symbol, topic))

    def _may_fall_silent(self, chance: Chance) -> None:
        if self._strike(FlowFaultKind.HALF_OPEN, chance):
            self.is_half_open = True
        if fault := self._strike(FlowFaultKind.MUTE, chance):
            self._muted.add(fault.symbol)

    def _harm(self, text: str, chance: Chance) -> list[Item]:
        for kind, harm in _HARMS:
            if fault := self._strike(kind, chance):
                return harm(text, fault)
        if self._strike(FlowFaultKind.SWAP, chance):
            self._held.setdefault((chance.symbol, chance.topic), text)
            return []
        return [text]

    def _behind(self, items: list[Item], kind: tuple[str, str]) -> list[Item]:
        held = self._held.pop(kind, None) if items else None
        return items if held is None else [*items, held]

    def _strike(self, kind: FlowFaultKind, chance: Chance) -> FlowFault | None:
        return self._faults.strike(kind, chance)


def _drop(_: str, __: FlowFault) -> list[Item]:
    return []


def _duplicate(text: str, _: FlowFault) -> list[Item]:
    return [text, text]


def _delay(text: str, fault: FlowFault) -> list[Item]:
    return [Pause(fault.ms), text]


def _close(_: str, fault: FlowFault) -> list[Item]:
    return [Close(fault.code)]


def _corrupt(text: str, _: FlowFault) -> list[Item]:
    return [text[: len(text) // 2] + "\x07}{"]


def _with_unknown_fields(text: str, _: FlowFault) -> list[Item]:
    news = '"zzNew":{"since":2027,"of":[1,"two",null]},'
    # In the frame itself and in what it wraps.
    return [text.replace("{", "{" + news, 1).replace('"data":{', '"data":{' + news, 1)]


_HARMS: tuple[tuple[FlowFaultKind, Callable[[str, FlowFault], list[Item]]], ...] = (
    (FlowFaultKind.DROP, _drop),
    (FlowFaultKind.DUPLICATE, _duplicate),
    (FlowFaultKind.DELAY, _delay),
    (FlowFaultKind.CLOSE, _close),
    (FlowFaultKind.CORRUPT_JSON, _corrupt),
    (FlowFaultKind.UNKNOWN_FIELDS, _with_unknown_fields),
)
