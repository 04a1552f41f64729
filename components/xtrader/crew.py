"""Starts the children in order of readiness, starts a dead one again, stops them in reverse."""

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from components.runtime.clock import Clock
from components.xtrader.backoff import PERMANENT, Lives
from components.xtrader.children import Child, waits_for
from components.xtrader.vitals import Readiness

STOP_S_MAX: Final = 15.0
"""Longer than any component's own drain bound; after it the child is killed."""

KILL_S_MAX: Final = 5.0


class Running(Protocol):
    """A child's process."""

    pid: int

    def poll(self) -> int | None:
        """Give the exit code once it ended."""
        ...

    def send_signal(self, sig: int) -> None:
        """Ask it something."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


class Yard(Protocol):
    """How a child is launched and looked at."""

    def launch(self, child: Child) -> Running:
        """Start its process."""
        ...

    def look(self, child: Child, pid: int) -> Readiness:
        """Ask how it is."""
        ...


@dataclass(slots=True)
class Berth:
    """One child's place: its process, its past deaths, how it is."""

    child: Child
    process: Running | None = None
    lives: Lives = field(default_factory=Lives)
    started_at_ns: int = 0
    due_at_ns: int = 0
    readiness: Readiness = field(default=Readiness(is_ready=False, detail="waiting"))
    was_ready: bool = False
    restarts: int = 0
    unready_since_ns: int | None = None
    unready_ns_max: int = 0
    given_up: int | None = None
    is_wanted: bool = True

    @property
    def is_ready(self) -> bool:
        """Say whether the process runs and says it is ready."""
        return self.process is not None and self.readiness.is_ready


class Crew:
    """All children together; `step` is called a few times a second."""

    def __init__(self, children: tuple[Child, ...], yard: Yard, clock: Clock, say: Callable[[str], None]) -> None:
        """Nothing starts before the first step."""
        self.berths = {child.name: Berth(child) for child in children}
        self._children = children
        self._yard = yard
        self._clock = clock
        self._say = say

    def step(self) -> None:
        """Notice the dead, start who is due, ask everyone how they are."""
        now_ns = self._clock.monotonic_ns()
        for berth in self.berths.values():
            self._notice_death(berth, now_ns)
            if berth.process is None and self._is_due(berth, now_ns):
                self._start(berth, now_ns)
            self._look(berth, now_ns)

    @property
    def is_ready(self) -> bool:
        """Say whether every child is ready."""
        return all(berth.is_ready for berth in self.berths.values())

    @property
    def given_up(self) -> Berth | None:
        """Name a child that cannot be helped by another start."""
        return next((berth for berth in self.berths.values() if berth.given_up is not None), None)

    def stop(self, *names: str) -> None:
        """Stop these children (all without names), the last started first, each within its bound."""
        for child in reversed(self._children):
            if not names or child.name in names:
                self._stop(self.berths[child.name])

    def _notice_death(self, berth: Berth, now_ns: int) -> None:
        if berth.process is None or (code := berth.process.poll()) is None:
            return
        berth.process = None
        berth.readiness = Readiness(is_ready=False, detail=f"ended with {_ending(code)}")
        if code in PERMANENT:
            berth.given_up = code
            self._say(f"{berth.child.name} ended with {_ending(code)}; another start would end the same way")
            return
        berth.lives = berth.lives.after_death(lived_ms=(now_ns - berth.started_at_ns) // 1_000_000)
        berth.due_at_ns = now_ns + berth.lives.delay_ms * 1_000_000
        self._say(f"{berth.child.name} ended with {_ending(code)}; starting it again in {berth.lives.delay_ms} ms")

    def _is_due(self, berth: Berth, now_ns: int) -> bool:
        if not berth.is_wanted or berth.given_up is not None or now_ns < berth.due_at_ns:
            return False
        awaited = () if berth.was_ready else waits_for(berth.child, self._children)
        return all(self.berths[name].is_ready for name in awaited)

    def _start(self, berth: Berth, now_ns: int) -> None:
        berth.process = self._yard.launch(berth.child)
        berth.restarts += berth.started_at_ns != 0
        berth.started_at_ns = now_ns
        berth.readiness = Readiness(is_ready=False, detail="starting")

    def _look(self, berth: Berth, now_ns: int) -> None:
        before = berth.is_ready
        if berth.process is not None:
            berth.readiness = self._yard.look(berth.child, berth.process.pid)
        self._remember(berth, now_ns)
        if berth.is_ready and not before:
            seconds = (now_ns - berth.started_at_ns) / 1e9
            self._say(f"{berth.child.name} is ready" + ("" if berth.was_ready else f" ({seconds:.1f} s)"))
            berth.was_ready = True
        elif before and not berth.is_ready:
            self._say(f"{berth.child.name} is not ready: {berth.readiness.detail}")

    def _remember(self, berth: Berth, now_ns: int) -> None:
        if berth.is_ready or not berth.was_ready or not berth.is_wanted:
            berth.unready_since_ns = None
            return
        berth.unready_since_ns = berth.unready_since_ns or now_ns
        berth.unready_ns_max = max(berth.unready_ns_max, now_ns - berth.unready_since_ns)

    def _stop(self, berth: Berth) -> None:
        berth.is_wanted = False
        process, berth.process = berth.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(KILL_S_MAX)
            self._say(f"{berth.child.name} did not stop within {STOP_S_MAX:.0f} s and was killed")
            return
        berth.readiness = Readiness(is_ready=False, detail="stopped")
        self._say(f"{berth.child.name} stopped" if code == 0 else f"{berth.child.name} ended with {_ending(code)}")


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
