"""The smallest service: it stores what it receives and returns the effects that the test wants."""

from collections.abc import Callable
from typing import Any

from components.contracts.streams import Stream
from components.runtime.service import Effects, Inbound


class ScriptedService:
    """Answers each input with what `react` returns for it."""

    def __init__(self, react: Callable[[Inbound], Effects] = lambda _: ()) -> None:
        self.react = react
        self.received: list[Inbound] = []
        self.ticks = 0
        self.calls: list[str] = []
        self.started: Effects = ()
        self.ticked: Effects = ()
        self.stopped: Effects = ()
        self.state: tuple[Any, ...] = ()
        self.unmet_conditions: tuple[str, ...] = ()
        self.drained = True

    def on_start(self, now_ns: int) -> Effects:
        self.calls.append("start")
        return self.started

    def on_message(self, message: Inbound, now_ns: int) -> Effects:
        self.received.append(message)
        return self.react(message)

    def on_tick(self, now_ns: int) -> Effects:
        self.ticks += 1
        return self.ticked

    def on_stop(self, now_ns: int) -> Effects:
        self.calls.append("stop")
        return self.stopped

    def is_drained(self) -> bool:
        return self.drained

    def snapshot(self, stream: Stream) -> tuple[Any, ...]:
        return self.state

    def unmet(self, now_ns: int) -> tuple[str, ...]:
        return self.unmet_conditions
