"""The process of one executable: signals, configuration, logs, lock, and the run of its application.

Importing what a process is made of takes a quarter of a second. Therefore these imports happen inside `run_process`,
when the signal handlers are installed, and `--help` does not pay for them.
"""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from components.runtime.cli import EXIT_BUG
from components.runtime.clock import Clock, SystemClock
from components.runtime.process.shutdown import ShutdownRequested, ShutdownSignals

if TYPE_CHECKING:
    from pydantic import BaseModel
    from structlog.typing import FilteringBoundLogger

    from components.contracts.streams import Stream
    from components.contracts.values import StreamOffset
    from components.runtime.config.settings import ConfigLayers, Settings
    from components.runtime.journal.journal import Journal
    from components.runtime.service import Service, VenueClient, VenueEventSource

M = TypeVar("M", bound="BaseModel")


@contextmanager
def run_process(name: str) -> Iterator["Process"]:
    """Run an executable around a block that wires and runs its application. A shutdown signal ends the block in order.

    The command `run` imports its wiring inside the block, so that signals are handled and the lock is taken before
    that: `with run_process("risk") as process: from components.risk.wiring import risk; risk(process)`.
    """
    with ShutdownSignals().installed() as signals, ExitStack() as held, suppress(ShutdownRequested):
        try:
            yield Process(name, signals, held)
        finally:
            signals.defer_to_drain()


class Process:
    """One running executable and the infrastructure that its wiring uses."""

    def __init__(self, name: str, signals: ShutdownSignals, held: ExitStack) -> None:
        """Read the configuration, take the lock, and register the process."""
        from importlib.metadata import version

        from components.runtime import logs
        from components.runtime.config.settings import read_layers
        from components.runtime.process.application import ProcessRegistration

        self.name = name
        self.version = version("xtrader")
        self.clock: Clock = SystemClock()
        self.layers: ConfigLayers = read_layers()
        self.settings: Settings = self.layers.validate({})
        self.paths = self.settings.paths
        runtime = self.settings.runtime
        self.log: FilteringBoundLogger = logs.configure(
            name, clock=self.clock, level=runtime.log_level, style=runtime.log_format
        )
        self.signals = signals
        self._held = held
        threading.excepthook = _exit_on_thread_death
        self._registration = ProcessRegistration(name, self.version, self.settings, self.clock, held)
        self.metrics = self._registration.metrics
        self.health = self._registration.health
        signals.on_forced_exit(self._registration.unregister)
        self.log.info("process_started", version=self.version, env=self.paths.env, account=self.paths.account)
        held.callback(self.log.info, "process_stopped")

    def config(self, model: type[M]) -> M:
        """Return the validated table of this component."""
        return self.layers.validate({self.name: model}).table(self.name, model)

    def secret(self, reference: str) -> bytes:
        """Return the secret of a reference. It is redacted from every log line (see `logs.redact` for its bound)."""
        from components.runtime import logs
        from components.runtime.config.secrets import resolve

        secret = resolve(reference, root=self.paths.root, environ=self.layers.environ).reveal()
        logs.redact(secret.decode("utf-8", "replace"))
        return secret

    def seal_key(self) -> bytes:
        """Return the bytes of the key that risk and execution share; only these two may make a SealKey of it."""
        from components.runtime.config.secrets import read_seal_key

        return read_seal_key(self.paths)

    def open_journal(self) -> "Journal":
        """Open the journal of this process. A torn tail of an earlier crash is truncated, counted and logged."""
        from components.runtime.journal.journal import Journal

        folder, now_ns = self.paths.journal(self.name), self.clock.now_ns()
        journal = Journal.open(folder, owner=self.name, account=self.paths.account, now_ns=now_ns)
        self._held.callback(journal.close)
        torn_tails = self.metrics.counter(
            "journal_torn_tails_total", "Unacknowledged ends of a journal that were truncated at start."
        )
        if journal.truncated:
            torn_tails.inc()
            self.log.warning(
                "torn_tail_truncated", bytes=journal.truncated.bytes_cut, kept_as=str(journal.truncated.kept_as)
            )
        return journal

    def publish_endpoints(self, endpoints: Mapping[str, str]) -> None:
        """Publish the socket addresses of this process in its manifest, by purpose."""
        self._registration.publish_endpoints(endpoints)

    def run(  # noqa: PLR0913  # a wiring is one call that names each connection
        self,
        service: "Service",
        *,
        subscribes: "Mapping[Stream, StreamOffset | None] | None" = None,
        publishes: "Sequence[Stream]" = (),
        serves: "Sequence[Stream]" = (),
        requests: "Sequence[Stream]" = (),
        sends_commands: "Sequence[Stream]" = (),
        journal: "Journal | None" = None,
        journal_stream: "Stream | None" = None,
        venue: "VenueClient | None" = None,
        feed: "VenueEventSource | None" = None,
        tick_ms: int = 50,
    ) -> None:
        """Run the service until a shutdown signal arrives and it has drained or exceeded the drain timeout.

        `subscribes` maps each stream to its start: after an offset of an event stream, or None for the next message.
        `journal_stream` is the event stream that publishes the journal. Every process publishes `health` too.
        """
        from components.contracts.streams import HEALTH
        from components.runtime.process.application import Application, run_application
        from components.runtime.service import StreamBindings

        bindings = StreamBindings(
            component=self.name,
            subscribes=subscribes or {},
            publishes=tuple(dict.fromkeys((*publishes, HEALTH))),
            serves=tuple(serves),
            requests=tuple(requests),
            sends_commands=tuple(sends_commands),
            journal_stream=journal_stream,
            journal_id=journal.journal_id if journal else "",
            last_sequence=journal.last_sequence if journal else 0,
        )
        self.signals.defer_to_drain()
        run_application(self, Application(service, bindings, journal, venue, feed, tick_ms))


def _exit_on_thread_death(args: threading.ExceptHookArgs) -> None:
    """End the whole process if one of its threads dies, because the other threads would continue without it."""
    from components.runtime.logs import logger

    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    logger().critical("thread_died", thread=args.thread.name if args.thread else "", exc_info=exc_info)
    os._exit(EXIT_BUG)
