"""An executable's life: start, serve, stop, exit code."""

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

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
from components.runtime.cli import EXIT_BUG

M = TypeVar("M", bound="BaseModel")


@contextmanager
def run_process(name: str) -> Iterator["Process"]:
    """Live an executable's life around a block that wires and serves; a signal ends it in order.

    A verb `run` imports its wiring inside the block, so that the lock is taken and signals are heard before that:
    `with running("risk") as process: from components.risk.wiring import risk; risk(process)`.
    """
    with ShutdownSignals().installed() as signals, ExitStack() as held, suppress(ShutdownRequested):
        try:
            yield Process(name, signals, held)
        finally:
            signals.defer_to_drain()


class Loop(StrEnum):
    """Which loop a service runs on: a blocking one where there is only the bus, the other beside a venue."""

    BLOCKING = "blocking"
    ASYNC = "async"


class Process:
    """One running executable, and what the floors below give it."""

    def __init__(self, name: str, signals: ShutdownSignals, held: ExitStack) -> None:
        """Read the configuration, take the lock, and say how the process is reached."""
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
        """Give the process's own table, checked."""
        return self.layers.validate({self.name: model}).table(self.name, model)

    def secret(self, reference: str) -> bytes:
        """Fetch a secret by its reference; no log line will ever hold it."""
        from components.runtime import logs
        from components.runtime.config.secrets import resolve

        secret = resolve(reference, root=self.paths.root, environ=self.layers.environ).reveal()
        logs.redact(secret.decode("utf-8", "replace"))
        return secret

    def seal_key(self) -> bytes:
        """Give the bytes of the key that risk and execution share; only they may make a SealKey of it."""
        from components.runtime.config.secrets import read_seal_key

        return read_seal_key(self.paths)

    def open_journal(self) -> "Journal":
        """Open the process's own journal; what a crash left at its end is told."""
        from components.runtime.journal.journal import Journal

        folder, now_ns = self.paths.journal(self.name), self.clock.now_ns()
        journal = Journal.open(folder, owner=self.name, account=self.paths.account, now_ns=now_ns)
        self._held.callback(journal.close)
        torn = self.metrics.counter(
            "journal_torn_tails_total", "Unacknowledged ends of a journal that were cut at start."
        )
        if journal.truncated:
            torn.inc()
            self.log.warning(
                "torn_tail_truncated", bytes=journal.truncated.bytes_cut, kept_as=str(journal.truncated.kept_as)
            )
        return journal

    def publish_endpoints(self, endpoints: Mapping[str, str]) -> None:
        """Say where peers and verbs reach this process, by the name of each duty."""
        self._registration.publish_endpoints(endpoints)

    def run(  # noqa: PLR0913  # a wiring reads as one call that names each connection
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
        loop: Loop = Loop.BLOCKING,
        tick_ms: int = 50,
    ) -> None:
        """Run the service until a signal asks to stop, and until it is drained or out of time.

        `hears` says from where: after this place of an event stream, or None from now on. `journal_stream` is the event
        stream that reads the journal aloud. Every process says `health` too.
        """
        from components.contracts.streams import HEALTH
        from components.runtime.process.application import Application, run_application
        from components.runtime.service import StreamBindings

        lines = StreamBindings(
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
        run_application(self, Application(service, lines, journal, venue, feed, loop is Loop.ASYNC, tick_ms))


def _exit_on_thread_death(died: threading.ExceptHookArgs) -> None:
    """End the process as a whole: it would be half alive otherwise."""
    from components.runtime.logs import logger

    facts = (died.exc_type, died.exc_value, died.exc_traceback)
    logger().critical("thread_died", thread=died.thread.name if died.thread else "", exc_info=facts)
    os._exit(EXIT_BUG)
