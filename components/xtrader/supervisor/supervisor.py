"""When a child that died is started again.

Starts the children in order of readiness, starts a dead one again, stops them in reverse.
"""

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from components.runtime.clock import Clock
from components.xtrader.supervisor.health import Readiness
from components.xtrader.supervisor.processes import ProcessSpec, dependencies_of

RESTART_DELAY_MS_FIRST: Final = 250


RESTART_DELAY_MS_MAX: Final = 5_000


STABLE_MS_MIN: Final = 30_000
"""A child that lived this long starts again as if it had never died."""


PERMANENT_EXIT_CODES: Final = frozenset({64, 65, 78})
"""Usage, damaged data, configuration: another start would end the same way."""


@dataclass(frozen=True, slots=True)
class RestartBackoff:
    """How often a child died in a row."""

    failures: int = 0

    @property
    def delay_ms(self) -> int:
        """How long to wait before the next start."""
        return 0 if self.failures == 0 else min(RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_FIRST * 2 ** (self.failures - 1))

    def after_exit(self, *, uptime_ms: int) -> "RestartBackoff":
        """Count one death, forgetting earlier ones if it lived long."""
        return replace(self, failures=1 if uptime_ms >= STABLE_MS_MIN else self.failures + 1)


STOP_S_MAX: Final = 15.0
"""Longer than any component's own drain bound; after it the child is killed."""


KILL_S_MAX: Final = 5.0


class ChildProcess(Protocol):
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


class Launcher(Protocol):
    """How a child is launched and looked at."""

    def launch(self, spec: ProcessSpec) -> ChildProcess:
        """Start its process."""
        ...

    def probe(self, spec: ProcessSpec, pid: int) -> Readiness:
        """Ask how it is."""
        ...


@dataclass(slots=True)
class ChildState:
    """One child's place: its process, its past deaths, how it is."""

    spec: ProcessSpec
    process: ChildProcess | None = None
    backoff: RestartBackoff = field(default_factory=RestartBackoff)
    started_at_ns: int = 0
    start_due_at_ns: int = 0
    readiness: Readiness = field(default=Readiness(is_ready=False, detail="waiting"))
    was_ready: bool = False
    restarts: int = 0
    unready_since_ns: int | None = None
    unready_ns_max: int = 0
    permanent_exit_code: int | None = None
    should_run: bool = True

    @property
    def is_ready(self) -> bool:
        """Say whether the process runs and says it is ready."""
        return self.process is not None and self.readiness.is_ready


class Supervisor:
    """All children together; `step` is called a few times a second."""

    def __init__(
        self, specs: tuple[ProcessSpec, ...], launcher: Launcher, clock: Clock, report: Callable[[str], None]
    ) -> None:
        """Nothing starts before the first step."""
        self.children = {child.name: ChildState(child) for child in specs}
        self._specs = specs
        self._launcher = launcher
        self._clock = clock
        self._report = report

    def step(self) -> None:
        """Notice the dead, start who is due, ask everyone how they are."""
        now_ns = self._clock.monotonic_ns()
        for berth in self.children.values():
            self._reap(berth, now_ns)
            if berth.process is None and self._should_start(berth, now_ns):
                self._start(berth, now_ns)
            self._probe(berth, now_ns)

    @property
    def is_ready(self) -> bool:
        """Say whether every child is ready."""
        return all(berth.is_ready for berth in self.children.values())

    @property
    def permanent_failure(self) -> ChildState | None:
        """Name a child that cannot be helped by another start."""
        return next((berth for berth in self.children.values() if berth.permanent_exit_code is not None), None)

    def stop(self, *names: str) -> None:
        """Stop these children (all without names), the last started first, each within its bound."""
        for child in reversed(self._specs):
            if not names or child.name in names:
                self._stop_child(self.children[child.name])

    def _reap(self, child: ChildState, now_ns: int) -> None:
        if child.process is None or (code := child.process.poll()) is None:
            return
        child.process = None
        child.readiness = Readiness(is_ready=False, detail=f"ended with {_exit_text(code)}")
        if code in PERMANENT_EXIT_CODES:
            child.permanent_exit_code = code
            self._report(f"{child.spec.name} ended with {_exit_text(code)}; another start would end the same way")
            return
        child.backoff = child.backoff.after_exit(uptime_ms=(now_ns - child.started_at_ns) // 1_000_000)
        child.start_due_at_ns = now_ns + child.backoff.delay_ms * 1_000_000
        self._report(
            f"{child.spec.name} ended with {_exit_text(code)}; starting it again in {child.backoff.delay_ms} ms"
        )

    def _should_start(self, child: ChildState, now_ns: int) -> bool:
        if not child.should_run or child.permanent_exit_code is not None or now_ns < child.start_due_at_ns:
            return False
        awaited = () if child.was_ready else dependencies_of(child.spec, self._specs)
        return all(self.children[name].is_ready for name in awaited)

    def _start(self, child: ChildState, now_ns: int) -> None:
        child.process = self._launcher.launch(child.spec)
        child.restarts += child.started_at_ns != 0
        child.started_at_ns = now_ns
        child.readiness = Readiness(is_ready=False, detail="starting")

    def _probe(self, child: ChildState, now_ns: int) -> None:
        before = child.is_ready
        if child.process is not None:
            child.readiness = self._launcher.probe(child.spec, child.process.pid)
        self._track_unready(child, now_ns)
        if child.is_ready and not before:
            seconds = (now_ns - child.started_at_ns) / 1e9
            self._report(f"{child.spec.name} is ready" + ("" if child.was_ready else f" ({seconds:.1f} s)"))
            child.was_ready = True
        elif before and not child.is_ready:
            self._report(f"{child.spec.name} is not ready: {child.readiness.detail}")

    def _track_unready(self, child: ChildState, now_ns: int) -> None:
        if child.is_ready or not child.was_ready or not child.should_run:
            child.unready_since_ns = None
            return
        child.unready_since_ns = child.unready_since_ns or now_ns
        child.unready_ns_max = max(child.unready_ns_max, now_ns - child.unready_since_ns)

    def _stop_child(self, child: ChildState) -> None:
        child.should_run = False
        process, child.process = child.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(KILL_S_MAX)
            self._report(f"{child.spec.name} did not stop within {STOP_S_MAX:.0f} s and was killed")
            return
        child.readiness = Readiness(is_ready=False, detail="stopped")
        self._report(f"{child.spec.name} stopped" if code == 0 else f"{child.spec.name} ended with {_exit_text(code)}")


def _exit_text(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
