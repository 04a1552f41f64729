"""The sync thread of a simulated process: entries that come while one sync runs share the next."""

from collections.abc import Callable
from typing import Final

from components.contracts.errors import StorageError
from components.runtime.journal import Journal
from components.xtrader.simulation.chance import Randomness
from components.xtrader.simulation.schedule import Callback, Scheduler

NO_DESCRIPTOR: Final = -1


class SimulatedGroupCommitter:
    """Makes entries durable a little later; `within` runs something as the process it belongs to."""

    def __init__(
        self,
        journal: Journal,
        scheduler: Scheduler,
        randomness: Randomness,
        run_in_process: Callable[[Callback], None],
        on_durable: Callable[[int, bytes], None],
        on_effect: Callable[[str], None],
    ) -> None:
        self._journal, self._scheduler, self._randomness = journal, scheduler, randomness
        self._run_in_process, self._on_durable, self._on_effect = run_in_process, on_durable, on_effect
        self._queue: list[tuple[int, bytes]] = []
        self._submitted = journal.last_sequence
        self.on_synced: Callback | None = None
        """What the loop does when the descriptor becomes readable."""
        self.failure: StorageError | None = None

    @property
    def durable_sequence(self) -> int:
        """Give the last durable sequence."""
        return self._journal.last_sequence

    def submit(self, at_ns: int, payload: bytes) -> int:
        """Queue an entry and give the sequence it will have."""
        if self.failure is not None:
            raise StorageError(str(self.failure))
        if not self._queue:
            self._scheduler.after(self._randomness.sync_duration_ns(), lambda: self._run_in_process(self._write))
        self._on_effect("append")
        self._queue.append((at_ns, payload))
        self._submitted += 1
        return self._submitted

    def flush_inline(self) -> bool:
        """Say no: this is a disk, and it takes its time."""
        return False

    def fileno(self) -> int:
        """Give what nobody watches: the process is told directly."""
        return NO_DESCRIPTOR

    def clear_notification(self) -> None:
        """Nothing is to be read."""

    def flush(self) -> None:
        """Write what waits, as a process does at its end."""
        if self._queue and self.failure is None:
            self._write()

    def _write(self) -> None:
        entries, self._queue = self._queue, []
        first = self._journal.last_sequence + 1
        try:
            self._journal.write(entries)
        except StorageError as failed:
            self.failure = failed
        else:
            for sequence, (_, payload) in enumerate(entries, first):
                self._on_durable(sequence, payload)
        if self.on_synced is not None:
            self.on_synced()
