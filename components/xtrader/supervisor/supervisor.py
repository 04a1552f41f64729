"""Starts the child processes in dependency order, restarts one that exits, and stops them in reverse order."""

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from components.runtime.clock import NS_PER_MS, Clock
from components.xtrader.supervisor.health import Readiness
from components.xtrader.supervisor.processes import ProcessSpec, dependencies_of

RESTART_DELAY_MS_FIRST: Final = 250
RESTART_DELAY_MS_MAX: Final = 5_000
STABLE_MS_MIN: Final = 30_000
"""After this uptime an exit counts as the first failure again."""
PERMANENT_EXIT_CODES: Final = frozenset({64, 65, 78})
"""Usage error, corrupt data, invalid configuration: a restart would end the same way."""
STOP_S_MAX: Final = 15.0
"""Longer than any component's own drain timeout; after it the child is killed."""
KILL_S_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class RestartBackoff:
    """The exponential delay before the next start, from the number of failures in a row."""

    failures: int = 0

    @property
    def delay_ms(self) -> int:
        """The delay before the next start."""
        return 0 if self.failures == 0 else min(RESTART_DELAY_MS_MAX, RESTART_DELAY_MS_FIRST * 2 ** (self.failures - 1))

    def after_exit(self, *, uptime_ms: int) -> "RestartBackoff":
        """Return the back-off after one more exit; earlier failures are forgotten after a stable uptime."""
        return replace(self, failures=1 if uptime_ms >= STABLE_MS_MIN else self.failures + 1)


class ChildProcess(Protocol):
    """A child's process, as `subprocess.Popen` offers it."""

    pid: int

    def poll(self) -> int | None:
        """Return the exit code; None while it is running."""
        ...

    def send_signal(self, sig: int) -> None:
        """Send a signal."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit and return its code."""
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...


class Launcher(Protocol):
    """Starts child processes and probes them."""

    def launch(self, spec: ProcessSpec) -> ChildProcess:
        """Start the process."""
        ...

    def probe(self, spec: ProcessSpec, pid: int) -> Readiness:
        """Return its readiness."""
        ...


@dataclass(slots=True)
class ChildState:
    """The state of one child: its process, its restarts, its readiness."""

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
        """Whether the process is running and reports that it is ready."""
        return self.process is not None and self.readiness.is_ready


class Supervisor:
    """All children; `step` must be called several times a second."""

    def __init__(
        self, specs: tuple[ProcessSpec, ...], launcher: Launcher, clock: Clock, report: Callable[[str], None]
    ) -> None:
        """Create the states; no process starts before the first step."""
        self.children = {spec.name: ChildState(spec) for spec in specs}
        self._specs = specs
        self._launcher = launcher
        self._clock = clock
        self._report = report

    def step(self) -> None:
        """Reap exited children, start those that are due, and probe all."""
        now_ns = self._clock.monotonic_ns()
        for child in self.children.values():
            self._reap(child, now_ns)
            if child.process is None and self._should_start(child, now_ns):
                self._start(child, now_ns)
            self._probe(child, now_ns)

    @property
    def is_ready(self) -> bool:
        """Whether every child is ready."""
        return all(child.is_ready for child in self.children.values())

    @property
    def permanent_failure(self) -> ChildState | None:
        """The first child that ended with a permanent exit code; None if there is none."""
        return next((child for child in self.children.values() if child.permanent_exit_code is not None), None)

    def stop(self, *names: str) -> None:
        """Stop these children, or all if none is named: the last in start order first, each within `STOP_S_MAX`."""
        for spec in reversed(self._specs):
            if not names or spec.name in names:
                self._stop_child(self.children[spec.name])

    def _reap(self, child: ChildState, now_ns: int) -> None:
        if child.process is None or (code := child.process.poll()) is None:
            return
        child.process = None
        child.readiness = Readiness(is_ready=False, detail=f"exited: {_exit_text(code)}")
        if code in PERMANENT_EXIT_CODES:
            child.permanent_exit_code = code
            self._report(f"{child.spec.name} exited ({_exit_text(code)}); a restart would end the same way")
            return
        child.backoff = child.backoff.after_exit(uptime_ms=(now_ns - child.started_at_ns) // NS_PER_MS)
        child.start_due_at_ns = now_ns + child.backoff.delay_ms * NS_PER_MS
        self._report(f"{child.spec.name} exited ({_exit_text(code)}); restarting in {child.backoff.delay_ms} ms")

    def _should_start(self, child: ChildState, now_ns: int) -> bool:
        if not child.should_run or child.permanent_exit_code is not None or now_ns < child.start_due_at_ns:
            return False
        dependencies = () if child.was_ready else dependencies_of(child.spec, self._specs)
        return all(self.children[name].is_ready for name in dependencies)

    def _start(self, child: ChildState, now_ns: int) -> None:
        child.process = self._launcher.launch(child.spec)
        child.restarts += child.started_at_ns != 0
        child.started_at_ns = now_ns
        child.readiness = Readiness(is_ready=False, detail="starting")

    def _probe(self, child: ChildState, now_ns: int) -> None:
        was_ready = child.is_ready
        if child.process is not None:
            child.readiness = self._launcher.probe(child.spec, child.process.pid)
        self._track_unready(child, now_ns)
        if child.is_ready and not was_ready:
            seconds = (now_ns - child.started_at_ns) / 1e9
            self._report(f"{child.spec.name} is ready" + ("" if child.was_ready else f" ({seconds:.1f} s)"))
            child.was_ready = True
        elif was_ready and not child.is_ready:
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
        self._report(f"{child.spec.name} stopped" if code == 0 else f"{child.spec.name} exited ({_exit_text(code)})")


def _exit_text(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
